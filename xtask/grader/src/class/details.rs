//! A text for each student, with the verdict on every program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::submission::Submission;
use toolbox::output::writable;

/// The most bytes of a student's name in the name of a file, which may have 255.
const NAME: usize = 200;

/// The files, one for each submission in the same order.
#[derive(Clone, Debug)]
pub struct Details(Vec<PathBuf>);

impl Details {
    /// Makes the folder and the files. Existing files keep their content until [`Details::write`].
    ///
    /// # Errors
    /// If a file cannot be written. It fails here, before the first program, not after the last
    /// one.
    pub fn open(folder: &Path, submissions: &[Submission]) -> Result<Details> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut taken = BTreeSet::new();
        let mut paths = Vec::new();
        for submission in submissions {
            let letters = submission.student().char_indices();
            let short = letters.take_while(|(at, _)| *at < NAME).map(|(_, letter)| letter);
            let mut name: String = short.collect();
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            let path = folder.join(format!("{name}.txt"));
            writable(&path)?;
            paths.push(path);
        }
        Ok(Details(paths))
    }

    /// Writes the texts, one for each submission in the same order.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, texts: &[String]) -> Result<()> {
        for (path, text) in self.0.iter().zip(texts) {
            fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}
