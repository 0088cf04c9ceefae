use std::fs;
use std::path::{Path, PathBuf};

use backend_powershell_compat::Environment;
use backend_powershell_compat::script::{GrantScript, Module};
use rotation_core::{RoleId, TenantId};
use uuid::Uuid;

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Every `.ps1` and `.psm1` below `folder` of this crate.
pub(crate) fn scripts_below(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![crate_folder().join(folder)];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "ps1" || e == "psm1") {
                let script = fs::read_to_string(&path).unwrap();
                let place = path.strip_prefix(crate_folder()).unwrap();
                found.push((place.display().to_string(), script));
            }
        }
    }
    found
}

/// The scripts of workers, each put together of its parts as the program does, and the other scripts of the program.
pub(crate) fn of_the_program() -> Vec<(String, String)> {
    let mut parts = scripts_below("src");
    let mut take = |place: &str| {
        let at = parts.iter().position(|(other, _)| other == place)?;
        Some(parts.swap_remove(at).1)
    };
    let common = take("src/worker/common.ps1");
    let serve = take("src/worker/serve.ps1");
    let graph = take("src/dialect/graph-session.ps1");
    let Some(((common, serve), graph)) = common.zip(serve).zip(graph) else {
        return parts;
    };
    for (place, script) in &mut parts {
        if let Some(dialect) = place.strip_prefix("src/dialect/") {
            let session = if dialect.starts_with("microsoft-") {
                graph.as_str()
            } else {
                ""
            };
            *script = [&common, session, script, &serve].concat();
        }
    }
    parts
}

/// A script of every module for every cloud, with and without permissions, for one tenant and for many.
pub(crate) fn emitted() -> Vec<(String, String)> {
    let environments = [
        Environment::Global,
        Environment::UsGov,
        Environment::UsGovDod,
        Environment::China,
    ];
    let permissions = ["User-PasswordProfile.ReadWrite.All", "User.Read.All"];
    let role = RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR;
    let mut scripts = Vec::new();
    for module in Module::ALL {
        let mut many = GrantScript::new(module, role).permissions(permissions);
        for (n, environment) in environments.into_iter().enumerate() {
            let tenant = TenantId::new(&format!("o'tenant-{n}.example"));
            let app = Uuid::from_u128(n as u128);
            many = many.tenant(&tenant, app, environment);
            let one = GrantScript::new(module, role).tenant(&tenant, app, environment);
            scripts.push((format!("{module:?}, {environment:?}"), one));
        }
        scripts.push((format!("{module:?}, many tenants"), many));
    }
    let render = |(place, script): (String, GrantScript)| (place, script.render().unwrap());
    scripts.into_iter().map(render).collect()
}

/// Every block of PowerShell in the README and in `docs/`.
pub(crate) fn documents() -> Vec<(String, String)> {
    let root = crate_folder().parent().unwrap();
    let mut pages = entries(&root.join("docs"));
    pages.push(root.join("README.md"));
    pages.retain(|path| path.extension().is_some_and(|e| e == "md"));
    let blocks = |path: PathBuf| {
        let page = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        blocks_of(&page)
            .map(|(line, block)| (format!("{name}, block at line {line}"), block))
            .collect::<Vec<_>>()
    };
    pages.into_iter().flat_map(blocks).collect()
}

/// The blocks fenced as `powershell`, each with the number of its first line.
fn blocks_of(page: &str) -> impl Iterator<Item = (usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        let fence = line.trim_start();
        match &mut open {
            None if fence.starts_with("```powershell") => open = Some((number + 2, String::new())),
            Some(_) if fence.starts_with("```") => blocks.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    assert!(open.is_none(), "a block without an end");
    blocks.into_iter()
}
