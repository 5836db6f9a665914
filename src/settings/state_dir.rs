//! The directory that holds all that the daemon writes.

use std::{
    fs::DirBuilder,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use super::{SettingsError, Surroundings};

/// Where it is unless somebody says otherwise.
pub(super) fn default_in(surroundings: &Surroundings) -> Result<PathBuf, SettingsError> {
    if let Some(given) = surroundings.variable("STATE_DIRECTORY") {
        // systemd lists several separated by colons; the first is ours.
        let first = given.as_bytes().split(|&byte| byte == b':').next().unwrap_or_default();
        return Ok(PathBuf::from(std::ffi::OsStr::from_bytes(first)));
    }
    if surroundings.root {
        return Ok(PathBuf::from("/var/lib/skypunch"));
    }
    let xdg = surroundings.variable("XDG_STATE_HOME").map(PathBuf::from);
    // The XDG specification has relative paths ignored.
    let xdg = xdg.filter(|path| path.is_absolute());
    let home = || surroundings.variable("HOME").map(|home| Path::new(home).join(".local/state"));
    let base = xdg.or_else(home).ok_or(SettingsError::NoStateDir)?;
    Ok(base.join("skypunch"))
}

/// Creates the directory and those above it, for the owner alone; one that exists stays as it is.
pub fn create_state_dir(path: &Path) -> Result<(), SettingsError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|source| SettingsError::CreateStateDir { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn default(root: bool, variables: &[(&str, &str)]) -> Option<PathBuf> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        default_in(&Surroundings { variables, root, ..Surroundings::default() }).ok()
    }

    #[test]
    fn systemd_then_root_then_xdg_then_home_say_where_it_is() {
        let home = ("HOME", "/home/eve");
        let xdg = ("XDG_STATE_HOME", "/x");
        let systemd = ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b");
        assert_eq!(default(true, &[systemd, xdg, home]).unwrap(), Path::new("/var/lib/a"));
        assert_eq!(default(true, &[xdg, home]).unwrap(), Path::new("/var/lib/skypunch"));
        assert_eq!(default(false, &[xdg, home]).unwrap(), Path::new("/x/skypunch"));
        assert_eq!(default(false, &[home]).unwrap(), Path::new("/home/eve/.local/state/skypunch"));
        assert_eq!(default(false, &[]), None);
    }

    #[test]
    fn it_is_for_its_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        create_state_dir(&path).unwrap();
        create_state_dir(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = create_state_dir(file.path()).unwrap_err();
        assert!(error.to_string().contains(&file.path().display().to_string()));
    }
}
