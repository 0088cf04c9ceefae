//! What there is to check of a directory that PowerShell reaches.

use backend_powershell_compat::PowerShellBackend;

use super::checklist::Checklist;

/// Whether a worker started and the directory let it in.
pub(super) async fn check(powershell: &PowerShellBackend, list: &mut Checklist) -> bool {
    let diagnosis = match powershell.diagnose().await {
        Ok(diagnosis) => diagnosis,
        Err(error) => {
            list.wrong(error.problem());
            return false;
        }
    };
    list.right(format!(
        "PowerShell {} ({}) runs: {}",
        diagnosis.powershell,
        diagnosis.edition,
        diagnosis.program.display()
    ));
    list.right(format!(
        "signed in through {} {}",
        diagnosis.dialect, diagnosis.module_version
    ));
    for warning in diagnosis.warnings() {
        list.advise(&warning);
    }
    true
}
