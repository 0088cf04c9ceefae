use std::env;
use std::path::{Path, PathBuf};

use rotation_core::Problem;

use crate::config::PowerShellConfig;
use crate::dialect::Dialect;

/// PowerShell 7, then Windows PowerShell 5.1 (<https://learn.microsoft.com/powershell/scripting/whats-new/differences-from-windows-powershell>).
const NAMES: [&str; 2] = ["pwsh", "powershell"];

/// The programs to try, the best first.
///
/// # Errors
/// A [`Problem`] if there is none.
pub(crate) fn programs(config: &PowerShellConfig) -> Result<Vec<PathBuf>, Problem> {
    if let Some(program) = &config.program {
        return Ok(vec![program.clone()]);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    // The module is one of Windows PowerShell alone.
    let names = match config.dialect {
        Some(Dialect::AzureAd) => NAMES.get(1..).unwrap_or_default(),
        _ => &NAMES,
    };
    let found = found(names, &folders);
    if found.is_empty() {
        let message = format!(
            "there is no {} in the {} folders of PATH",
            names.join(" and no "),
            folders.len()
        );
        let fix = "install PowerShell: https://aka.ms/powershell, or name the program in `program`";
        return Err(Problem::new(message).with_fix(fix));
    }
    Ok(found)
}

fn found(names: &[&str], folders: &[PathBuf]) -> Vec<PathBuf> {
    let in_folder = |folder: &Path, name: &str| {
        let program = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
        program.is_file().then_some(program)
    };
    let one = |name: &&str| folders.iter().find_map(|folder| in_folder(folder, name));
    names.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_name_is_found_and_pwsh_comes_first() {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let paths = folders.each_ref().map(|folder| folder.path().to_owned());
        assert_eq!(found(&NAMES, &paths), [""; 0].map(PathBuf::from));
        let file = |folder: usize, name: &str| {
            let name = format!("{name}{}", env::consts::EXE_SUFFIX);
            let path = paths[folder].join(name);
            std::fs::write(&path, "").unwrap();
            path
        };
        let windows = file(0, "powershell");
        let pwsh = file(1, "pwsh");
        file(2, "pwsh");
        assert_eq!(found(&NAMES, &paths), [pwsh, windows.clone()]);
        assert_eq!(found(&NAMES[1..], &paths), [windows]);
    }
}
