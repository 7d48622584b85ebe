//! The exercises of a day: `dayNN/exercises/NAME/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::markup;
use crate::paths::name;
use crate::problem::Complaint;

/// The fields of `exercise.toml` that the book needs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct About {
    title: String,
    order: u32,
    minutes: u32,
    book: String,
    needs: Option<String>,
}

/// One exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exercise {
    /// The name of its folder and of its program.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    about: About,
}

/// The exercises of a day such as `day01`, in their order, and what the unfinished ones lack.
pub fn of_day(root: &Path, day: &str) -> Result<(Vec<Exercise>, Vec<String>), Complaint> {
    let folder = root.join(day).join("exercises");
    let plain = !day.is_empty() && day.chars().all(|c| c.is_ascii_alphanumeric() || c == '/');
    let entries = if plain { fs::read_dir(&folder).ok() } else { None };
    let entries = entries.ok_or_else(|| {
        Complaint::new(
            format!("there is no folder {day}/exercises"),
            "write the folder around it: day01, day02, day03, day04 or day04/beyond",
        )
    })?;
    let (mut exercises, mut unfinished) = (Vec::new(), Vec::new());
    for folder in entries.flatten().map(|entry| entry.path()) {
        if !folder.is_dir() {
            continue;
        }
        let missing = ["exercise.toml", "brief.md"].iter().find(|it| !folder.join(it).is_file());
        match missing {
            Some(file) => unfinished.push(format!("{} has no {file}", name(root, &folder))),
            None => exercises.push(read(root, folder)?),
        }
    }
    exercises.sort_by(|a, b| (a.about.order, &a.name).cmp(&(b.about.order, &b.name)));
    match exercises.is_empty() {
        true => Err(Complaint::new(
            format!("{day} has no exercises"),
            format!("an exercise is a folder {day}/exercises/NAME with an exercise.toml"),
        )),
        false => Ok((exercises, unfinished)),
    }
}

/// Reads one exercise.
fn read(root: &Path, folder: PathBuf) -> Result<Exercise, Complaint> {
    let file = &folder.join("exercise.toml");
    let shown = name(root, file);
    let text = fs::read_to_string(file)
        .map_err(|wrong| Complaint::new(format!("{shown}: {wrong}"), "it has to be UTF-8 text"))?;
    let about = toml::from_str(&text).map_err(|wrong| {
        Complaint::new(
            format!("{shown}: {}", wrong.message()),
            "it has a title, order, minutes, book and starter, and needs where a kernel matters",
        )
    })?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Exercise { name, folder, about })
}

/// The minutes of all of them.
pub fn minutes(exercises: &[Exercise]) -> u32 {
    exercises.iter().map(|exercise| exercise.about.minutes).sum()
}

/// An overview of them.
pub fn table(exercises: &[Exercise]) -> String {
    let mut out = String::from("| exercise | what it is | minutes |\n|---|---|--:|\n");
    for Exercise { name, about, .. } in exercises {
        let (code, title) = (markup::code(name), markup::plain(&about.title));
        out.push_str(&format!("| [{code}](#{name}) | {title} | {} |\n", about.minutes));
    }
    out.push_str(&format!("| **together** | | **{}** |\n", minutes(exercises)));
    out
}

impl Exercise {
    /// The heading, and the line above the brief.
    pub fn head(&self) -> String {
        let Self { name, about, .. } = self;
        let page = about.book.replace(".html", ".md");
        let needs = match &about.needs {
            Some(release) => format!(" · Linux {} or later", markup::plain(release)),
            None => String::new(),
        };
        format!(
            "## {} {{#{name}}}\n\n{} · {} minutes{needs} · [what the book says of \
             it]({page})\n",
            markup::plain(&about.title),
            markup::code(name),
            about.minutes,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exercises_of_a_day_come_in_order() {
        let root = tempfile::tempdir().unwrap();
        for (name, order) in [("zebra", 1), ("ant", 2)] {
            let folder = root.path().join("day01/exercises").join(name);
            fs::create_dir_all(&folder).unwrap();
            let text = format!(
                "title = \"The {name}\"\norder = {order}\nminutes = 10\nbook = \"day1.html#x\"\n\
                 starter = \"E-X\"\n"
            );
            fs::write(folder.join("exercise.toml"), text).unwrap();
            fs::write(folder.join("brief.md"), "# Do it\n").unwrap();
        }
        fs::create_dir(root.path().join("day01/exercises/half")).unwrap();
        let (exercises, unfinished) = of_day(root.path(), "day01").unwrap();
        assert_eq!(unfinished, ["day01/exercises/half has no exercise.toml"]);
        let names: Vec<&str> = exercises.iter().map(|exercise| exercise.name.as_str()).collect();
        assert_eq!(names, ["zebra", "ant"]);
        assert_eq!(minutes(&exercises), 20);
        assert!(table(&exercises).contains("](#zebra) | The zebra | 10 |"));
        assert!(exercises[0].head().starts_with("## The zebra {#zebra}\n"));
        assert!(exercises[0].head().contains("(day1.md#x)"));
        assert!(of_day(root.path(), "day09").unwrap_err().what.contains("day09/exercises"));
        assert!(of_day(root.path(), "../day01").is_err());
        let broken = root.path().join("day01/exercises/ant/exercise.toml");
        fs::write(broken, "title = 3\n").unwrap();
        let wrong = of_day(root.path(), "day01").unwrap_err();
        assert!(wrong.what.starts_with("day01/exercises/ant/exercise.toml: "), "{wrong:?}");
    }
}
