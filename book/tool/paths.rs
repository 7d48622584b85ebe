//! Paths as messages show them.

use std::path::{Component, Path, PathBuf};

/// `path` for messages: from the workspace's root, if it lies in it.
pub fn name(root: &Path, path: &Path) -> String {
    let clean = normal(path);
    clean.strip_prefix(normal(root)).unwrap_or(&clean).display().to_string()
}

/// `path` without `.` and `..`, by its text alone. Links are not followed.
pub fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(clean.components().next_back(), Some(Component::Normal(_))) =>
            {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}
