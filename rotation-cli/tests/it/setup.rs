//! `rotation setup`: an administrator's hand brings the app in, in each way, once and only once, and takes it out again.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use entra_sim::{App, Effect, Endpoint, Fault, Group, Role, Tenant, User};
use serde_json::Value;
use uuid::{Uuid, uuid};

use crate::world::{Output, World, output};

const ADMIN: Uuid = uuid!("5e7a0000-0000-4000-8000-00000000ad31");
const ADMIN_SECRET: &str = "administrator-7f3a9c51e0";

/// What setting up takes.
const RIGHTS: [&str; 4] = [
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "Group.ReadWrite.All",
    "RoleManagement.ReadWrite.Directory",
];

const HALF_A_YEAR: [&str; 6] = [
    "--through",
    "pim",
    "--justification",
    "rotates passwords, see ticket 4711",
    "--for",
    "180d",
];

/// The app by which an administrator acts.
pub(crate) fn admin() -> App {
    let app = App::new("Administration");
    let app = app.client_id(ADMIN).secret(ADMIN_SECRET);
    RIGHTS.into_iter().fold(app, App::permission)
}

/// A tenant in which the app that is to rotate has nothing yet.
fn bare(domain: &str) -> Tenant {
    let app = App::new("Password rotation");
    Tenant::demo_at(domain, 60).first_app(app).app(admin())
}

fn domain(index: usize) -> String {
    format!("tenant{index:02}.onmicrosoft.com")
}

/// Names the administrator in the configuration.
pub(crate) fn name_admin(world: &World) {
    world.write("admin.txt", ADMIN_SECRET);
    let text = world.read("rotation.toml");
    let credential = "{ kind = \"client-secret\", file = \"admin.txt\" }";
    let setup = format!("[setup]\nclient_id = \"{ADMIN}\"\ncredential = {credential}\n");
    world.write("rotation.toml", &format!("{text}{setup}"));
}

fn world(tenants: impl IntoIterator<Item = Tenant>) -> World {
    let world = World::with(tenants);
    name_admin(&world);
    world
}

fn one() -> World {
    world([bare("contoso.onmicrosoft.com")])
}

fn setup(world: &World, extra: &[&str]) -> Output {
    world.run(&[&["setup", "--yes"], extra].concat())
}

fn reports(world: &World, extra: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = setup(world, &[&["--format", "json", "-q"], extra].concat());
    let reports = serde_json::from_str(&output.stdout);
    let reports = reports.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.code, reports)
}

/// How many requests changed something, or tried to.
fn writes(world: &World) -> usize {
    let requests = world.server.requests();
    let graph = requests.iter().filter(|one| one.path.starts_with("/v1.0"));
    graph.filter(|one| one.method != "GET").count()
}

/// What `rotation doctor` finds wrong, over all tenants.
fn wrongs(world: &World) -> Vec<String> {
    let output = world.run(&["doctor", "--format", "json"]);
    let lists: Vec<Value> = serde_json::from_str(&output.stdout).unwrap();
    let checks = lists
        .iter()
        .flat_map(|list| list["checks"].as_array().unwrap());
    let wrong = checks.filter(|check| check["finding"] == "wrong");
    wrong.map(Value::to_string).collect()
}

/// Permissions and roles of the app, in the first tenant.
fn held(world: &World) -> Option<(Vec<String>, Vec<Role>)> {
    let app = world.tenant.app(world.tenant.client_id())?;
    Some((app.permissions, app.roles))
}

#[test]
fn each_way_makes_doctor_content_and_a_run_work_and_the_second_time_changes_nothing() {
    for way in [&[][..], &["--through", "group"], &HALF_A_YEAR] {
        let world = one();
        assert!(!wrongs(&world).is_empty(), "{way:?}");
        let made = setup(&world, way);
        assert_eq!(made.code, Some(0), "{way:?}: {made:?}");
        assert_eq!(wrongs(&world), Vec::<String>::new(), "{way:?}");
        let (permissions, roles) = held(&world).unwrap();
        assert_eq!(permissions.len(), 7, "{permissions:?}");
        assert_eq!(roles, [Role::USER_ADMINISTRATOR]);

        let before = writes(&world);
        let again = setup(&world, way);
        assert_eq!(again.code, Some(0), "{way:?}: {again:?}");
        assert!(again.stdout.contains("nothing was changed"), "{again:?}");
        assert_eq!(writes(&world), before, "{way:?}");

        let applied = world.json(&["apply", "--format", "json", "-q"]);
        assert!(applied["rotated"].as_u64() > Some(0), "{way:?}: {applied}");
        world.assert_no_password_is_lost();
    }
}

#[test]
fn what_was_set_up_is_taken_away_again_and_nothing_else() {
    for way in [&[][..], &["--through", "group"], &HALF_A_YEAR] {
        let world = one();
        setup(&world, way);
        let removed = setup(&world, &[&["--remove"], way].concat());
        assert_eq!(removed.code, Some(0), "{way:?}: {removed:?}");
        assert_eq!(held(&world), Some((vec![], vec![])), "{way:?}");
        // its home is this tenant
        assert!(
            removed.stdout.contains("the app is registered here"),
            "{removed:?}"
        );
        let before = writes(&world);
        let again = setup(&world, &[&["--remove"], way].concat());
        assert!(again.stdout.contains("nothing was changed"), "{again:?}");
        assert_eq!(writes(&world), before, "{way:?}");
        // and back
        assert_eq!(setup(&world, way).code, Some(0), "{way:?}");
        assert_eq!(wrongs(&world), Vec::<String>::new(), "{way:?}");
    }
}

#[test]
fn what_somebody_else_gave_or_relies_on_stays() {
    let app = App::rotation()
        .without_roles()
        .role(Role::GLOBAL_READER)
        .permission("Mail.Read");
    let colleague = "colleague@contoso.onmicrosoft.com";
    let group = Group::role_assignable("Password rotation: User Administrator")
        .member(colleague)
        .role(Role::USER_ADMINISTRATOR);
    let tenant = bare("contoso.onmicrosoft.com")
        .first_app(app)
        .user(User::new(colleague))
        // anybody may call a group so, and it can hold no role
        .group(Group::new("Password rotation: User Administrator"))
        .group(group);
    let world = world([tenant]);
    let (code, made) = reports(&world, &["--through", "group"]);
    assert_eq!(code, Some(0), "{made:?}");
    let done = made[0]["done"].as_array().unwrap();
    assert_eq!(done.len(), 1, "the group is found, and joined: {done:?}");
    assert_eq!(wrongs(&world), Vec::<String>::new());
    let (code, removed) = reports(&world, &["--through", "group", "--remove"]);
    assert_eq!(code, Some(0), "{removed:?}");
    let stays = removed[0]["stays"].to_string();
    assert!(stays.contains("there are others in it"), "{stays}");
    assert_eq!(
        held(&world),
        Some((vec!["Mail.Read".to_owned()], vec![Role::GLOBAL_READER]))
    );
    let colleague = world.tenant.user(colleague).unwrap();
    assert!(colleague.protected, "still in the group");
}

#[test]
fn a_role_that_covers_the_wanted_one_is_enough_and_is_not_taken_away() {
    let app = App::rotation()
        .without_roles()
        .role(Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR);
    let world = world([bare("contoso.onmicrosoft.com").first_app(app)]);
    let made = setup(&world, &[]);
    assert!(made.stdout.contains("nothing was changed"), "{made:?}");
    let removed = setup(&world, &["--remove"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    let (permissions, roles) = held(&world).unwrap();
    assert_eq!(permissions, Vec::<String>::new());
    assert_eq!(roles, [Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR]);

    let more = setup(
        &one(),
        &["--role", "privileged authentication administrator"],
    );
    assert!(
        more.stdout
            .contains("assign Privileged Authentication Administrator"),
        "{more:?}"
    );
    for role in ["Global Administrator", "User Adminstrator"] {
        let refused = setup(&world, &["--role", role]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("User Administrator"), "{refused:?}");
    }
}

#[test]
fn an_app_from_another_tenant_is_brought_in_and_leaves_without_a_trace() {
    let home = bare(&domain(0));
    let guest = Tenant::demo_at(&domain(1), 60).first_app(admin());
    let world = world([home, guest]);
    let client_id = world.tenant.client_id();
    // the same app in both
    let text = world.read("rotation.toml");
    let secret = "credential = { kind = \"client-secret\", file = \"secret-1.txt\" }";
    let shared = "credential = { kind = \"client-secret\", file = \"client-secret.txt\" }";
    let of_admin = format!("client_id = \"{ADMIN}\"\n{secret}");
    assert!(text.contains(&of_admin), "{text}");
    let text = text.replace(&of_admin, &format!("client_id = \"{client_id}\"\n{shared}"));
    world.write("rotation.toml", &text);
    let guest = || world.server.tenants()[1].app(client_id);
    assert!(guest().is_none());

    let made = setup(&world, &[]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(wrongs(&world), Vec::<String>::new());
    assert_eq!(guest().unwrap().roles, [Role::USER_ADMINISTRATOR]);
    let removed = setup(&world, &["--remove", "--tenant", &domain(1)]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(guest().is_none(), "{removed:?}");
    assert_eq!(
        held(&world).unwrap().1,
        [Role::USER_ADMINISTRATOR],
        "not asked for"
    );
}

/// A right that is missing, the one to read that is there instead, and where it shows.
struct Lack {
    right: &'static str,
    instead: &'static str,
    way: &'static [&'static str],
    says: &'static str,
    done: usize,
}

#[test]
fn each_right_that_is_missing_is_named_with_where_to_give_it() {
    let lacks = [
        Lack {
            right: "Application.ReadWrite.All",
            instead: "Application.Read.All",
            way: &[],
            says: "cannot create the service principal",
            done: 0,
        },
        Lack {
            right: "AppRoleAssignment.ReadWrite.All",
            instead: "Application.Read.All",
            way: &[],
            says: "cannot grant the application permission",
            done: 1,
        },
        Lack {
            right: "RoleManagement.ReadWrite.Directory",
            instead: "RoleManagement.Read.Directory",
            way: &[],
            says: "cannot assign User Administrator",
            done: 8,
        },
        Lack {
            right: "RoleAssignmentSchedule.ReadWrite.Directory",
            instead: "RoleManagement.Read.Directory",
            way: &HALF_A_YEAR,
            says: "cannot assign User Administrator",
            done: 8,
        },
        Lack {
            right: "Group.ReadWrite.All",
            instead: "Group.Read.All",
            way: &["--through", "group"],
            says: "cannot create the role-assignable group",
            done: 8,
        },
    ];
    for lack in lacks {
        let reduced = admin()
            .without_permission(lack.right)
            .permission(lack.instead);
        let reduced = match lack.right {
            // either right does
            "RoleAssignmentSchedule.ReadWrite.Directory" => {
                reduced.without_permission("RoleManagement.ReadWrite.Directory")
            }
            _ => reduced,
        };
        let world = elsewhere(reduced);
        let (code, reports) = reports(&world, lack.way);
        assert_eq!(code, Some(3), "{}: {reports:?}", lack.right);
        let report = &reports[0];
        let problem = &report["problem"];
        let (says, fix) = (
            problem["says"].as_str().unwrap(),
            problem["fix"].as_str().unwrap(),
        );
        assert!(
            says.contains(lack.says) && says.contains("403"),
            "{problem}"
        );
        for part in [lack.right, &ADMIN.to_string(), "adminconsent?client_id="] {
            assert!(fix.contains(part), "{part}: {problem}");
        }
        let done = report["done"].as_array().unwrap().len();
        let left = report["left"].as_array().unwrap().len();
        let all = if lack.right.starts_with("Group") {
            11
        } else {
            9
        };
        assert_eq!((done, left), (lack.done, all - lack.done - 1), "{report}");
        assert_eq!(writes(&world), lack.done + 1, "nothing is tried after that");
    }
    for (right, says) in [
        (
            "Application.ReadWrite.All",
            "cannot read the service principals",
        ),
        (
            "RoleManagement.ReadWrite.Directory",
            "cannot read the role assignments",
        ),
    ] {
        let reduced = admin().without_permission(right);
        let tenant = Tenant::demo_at("contoso.onmicrosoft.com", 60);
        let world = world([tenant.first_app(App::new("rotation")).app(reduced)]);
        let (code, reports) = reports(&world, &[]);
        assert_eq!(code, Some(4), "{right}: {reports:?}");
        assert!(
            reports[0]["problem"]["says"]
                .as_str()
                .unwrap()
                .contains(says),
            "{reports:?}"
        );
        assert_eq!(writes(&world), 0, "{right}");
    }
}

/// One tenant with only an administrator; the app that is to rotate is registered in another, which is not configured.
fn elsewhere(admin: App) -> World {
    let there = Tenant::demo_at(&domain(0), 60).first_app(admin);
    let world = world([there, bare(&domain(1))]);
    let (admin, app) = (
        world.tenant.client_id(),
        world.server.tenants()[1].client_id(),
    );
    let text = world.read("rotation.toml");
    let text = text.replacen(&admin.to_string(), &app.to_string(), 1);
    let text = text.replacen(
        "env = \"ROTATION_TEST_SECRET\"",
        "file = \"secret-1.txt\"",
        1,
    );
    let (first, rest) = text.split_once(&domain(1)).unwrap();
    let first = first.strip_suffix("[[tenant]]\nid = \"").unwrap();
    let setup = rest.get(rest.find("[setup]").unwrap()..).unwrap();
    world.write("rotation.toml", &format!("{first}{setup}"));
    world
}

#[test]
fn a_person_signs_in_once_and_needs_roles_too() {
    let app = App::new("Administration by people").public_client();
    let app = RIGHTS.into_iter().fold(app, App::delegated_permission);
    let name = |name: &str| format!("{name}@contoso.onmicrosoft.com");
    let tenant = bare("contoso.onmicrosoft.com")
        .app(app.client_id(Uuid::from_u128(0x00c0_ffee)))
        .user(User::new(name("reader")).role(Role::GLOBAL_READER))
        .user(User::new(name("assigner")).role(Role::PRIVILEGED_ROLE_ADMINISTRATOR));
    let world = World::with([tenant]);
    let text = world.read("rotation.toml");
    let setup = format!(
        "[setup]\nclient_id = \"{}\"\n",
        Uuid::from_u128(0x00c0_ffee)
    );
    world.write("rotation.toml", &format!("{text}{setup}"));
    for (who, code, says) in [
        (
            "reader",
            3,
            "assign Privileged Role Administrator in tenant contoso.onmicrosoft.com",
        ),
        (
            "assigner",
            0,
            "assign User Administrator to the service principal",
        ),
    ] {
        let (done, rest) = as_person(&world, &name(who), &[]);
        assert_eq!(done.code, Some(code), "{who}: {done:?} {rest}");
        assert!(done.stdout.contains(says), "{who}: {done:?}");
    }
    assert_eq!(wrongs(&world), Vec::<String>::new());
}

/// `rotation setup --yes`, for which somebody signs in by device code; and what it says on stderr after that.
fn as_person(world: &World, upn: &str, extra: &[&str]) -> (Output, String) {
    let args = ["setup", "--as", "device-code", "--yes"];
    let mut command = world.command(&[&args, extra].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("enter the code") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "no code was shown");
    }
    let user = world.tenant.user(upn).unwrap();
    let shown = line.trim().rsplit(' ').next().unwrap();
    assert!(world.tenant.approve_sign_in(shown, user.id), "{line}");
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    (crate::world::wait(child), rest)
}

#[test]
fn a_group_that_is_there_already_gets_no_role_that_others_would_come_to_hold() {
    let colleague = "colleague@contoso.onmicrosoft.com";
    let name = "Password rotation: User Administrator";
    for (group, says) in [
        (
            Group::role_assignable(name).member(colleague),
            "there are others in the group",
        ),
        (
            Group::role_assignable(name).owner(colleague),
            "the group has owners",
        ),
        (
            Group::role_assignable(name).role(Role::GLOBAL_READER),
            "the group holds other roles too",
        ),
    ] {
        let tenant = bare("contoso.onmicrosoft.com").user(User::new(colleague));
        let world = world([tenant.group(group)]);
        let shown = world.run(&["setup", "--through", "group"]);
        for part in [
            "is there already, and cannot be used",
            says,
            "+ assign User Administrator to the group",
        ] {
            assert!(shown.stderr.contains(part), "{part}: {shown:?}");
        }
        let (code, reports) = reports(&world, &["--through", "group"]);
        assert_eq!(code, Some(3), "{says}: {reports:?}");
        let problem = &reports[0]["problem"];
        assert!(
            problem["says"].as_str().unwrap().contains(says),
            "{problem}"
        );
        assert!(
            problem["fix"].as_str().unwrap().contains("rename it"),
            "{problem}"
        );
        let role_assigned =
            world.server.requests().into_iter().any(|request| {
                request.method == "POST" && request.path.contains("/roleManagement/")
            });
        assert!(!role_assigned, "{says}");
        assert_eq!(held(&world).unwrap().1, [], "{says}");
    }
}

/// Members of a group that are apps are asked for apart: whoever cannot see them cannot tell that there is nobody else.
#[test]
fn a_group_whose_apps_cannot_be_seen_gets_no_role() {
    let group = Group::role_assignable("Password rotation: User Administrator");
    let world = world([bare("contoso.onmicrosoft.com").group(group)]);
    let unseen = Fault::new(Effect::status(403)).endpoint(Endpoint::GroupMemberApps);
    world.server.add_fault(unseen);
    let (code, reports) = reports(&world, &["--through", "group"]);
    assert_eq!(code, Some(4), "{reports:?}");
    assert_eq!(writes(&world), 0, "{reports:?}");
}

#[test]
fn a_group_that_is_there_already_with_nobody_else_is_used_and_that_is_said() {
    let upn = "assigner@contoso.onmicrosoft.com";
    let people = Uuid::from_u128(0x00c0_ffee);
    let app = App::new("Administration by people").public_client();
    let app = RIGHTS.into_iter().fold(app, App::delegated_permission);
    // whoever creates a group may be its owner
    let group = Group::role_assignable("Password rotation: User Administrator").owner(upn);
    let tenant = bare("contoso.onmicrosoft.com")
        .app(app.client_id(people))
        .user(User::new(upn).role(Role::PRIVILEGED_ROLE_ADMINISTRATOR))
        .group(group);
    let world = World::with([tenant]);
    let text = world.read("rotation.toml");
    let setup = format!("[setup]\nclient_id = \"{people}\"\n");
    world.write("rotation.toml", &format!("{text}{setup}"));
    let (done, said) = as_person(&world, upn, &["--through", "group"]);
    assert_eq!(done.code, Some(0), "{done:?} {said}");
    assert!(said.contains("is there already, and is used"), "{said}");
    assert!(!done.stdout.contains("create the role-assignable group"));
    assert_eq!(held(&world).unwrap().1, [Role::USER_ADMINISTRATOR]);
}

#[test]
fn an_app_that_is_named_by_no_guid_is_an_error_at_its_key_and_goes_nowhere() {
    let world = one();
    let app = world.tenant.client_id().to_string();
    world.edit(&app, "' or appId ne '");
    for way in [&["--yes"][..], &["--print"]] {
        let refused = world.run(&[&["setup"], way].concat());
        assert_eq!(refused.code, Some(2), "{way:?}: {refused:?}");
        for part in ["client_id = \"' or appId ne '\"", "expected a GUID"] {
            assert!(refused.stderr.contains(part), "{way:?}: {refused:?}");
        }
        assert_eq!(refused.stdout, "", "{way:?}");
    }
    assert!(world.server.requests().is_empty());
}

#[test]
fn taking_away_an_assignment_of_pim_takes_no_justification_and_points_to_no_print() {
    let world = one();
    setup(&world, &HALF_A_YEAR);
    let asked = world.run(&["setup", "--remove", "--through", "pim"]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.stderr.contains("there is no terminal"), "{asked:?}");
    assert!(!asked.stderr.contains("--print"), "{asked:?}");
    let removed = setup(&world, &["--remove", "--through", "pim"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert_eq!(held(&world), Some((vec![], vec![])));
}

#[test]
fn an_assignment_of_pim_that_runs_is_prolonged_once_half_of_it_is_gone() {
    let world = one();
    let lasting = |lasts| [&HALF_A_YEAR[..4], lasts].concat();
    let prolongs = |way: &[&str], words: &str| {
        let prolonged = setup(&world, way);
        assert_eq!(prolonged.code, Some(0), "{way:?}: {prolonged:?}");
        assert!(prolonged.stdout.contains(words), "{way:?}: {prolonged:?}");
    };
    let (nothing, until) = ("nothing was changed", "last longer in PIM");
    prolongs(&lasting(&["--for", "180d"]), "by an active assignment");
    prolongs(&lasting(&["--for", "180d"]), nothing);
    prolongs(&lasting(&["--for", "359d"]), nothing);
    let words =
        "let User Administrator of the service principal last longer in PIM, for 361 days from now";
    prolongs(&lasting(&["--for", "361d"]), words);
    prolongs(&lasting(&["--for", "361d"]), nothing);
    prolongs(&lasting(&[]), until);
    prolongs(&lasting(&[]), nothing);
    // what never ends is not shortened
    prolongs(&lasting(&["--for", "180d"]), nothing);
    assert_eq!(held(&world).unwrap().1, [Role::USER_ADMINISTRATOR]);
}

#[test]
fn doctor_waits_for_what_setup_has_granted() {
    let lag = Duration::from_secs(3600);
    let world = world([bare("contoso.onmicrosoft.com").permission_lag(lag)]);
    let made = setup(&world, &[]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(
        made.stdout.contains("they count in a few minutes"),
        "{made:?}"
    );
    // nothing is left to be done, and it does not count yet
    assert!(setup(&world, &[]).stdout.contains("nothing was changed"));
    assert!(!wrongs(&world).is_empty());
    let mut command = world.command(&["doctor", "--wait", "2m"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("looking again until all is well") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it does not wait");
    }
    world.server.advance(lag + Duration::from_secs(1));
    let waited = crate::world::wait(child);
    assert_eq!(
        waited.code,
        Some(3),
        "administrators are out of reach: {waited:?}"
    );
    assert_eq!(wrongs(&world), Vec::<String>::new());
}

#[test]
fn a_tenant_that_fails_leaves_the_others() {
    let tenants = (0..4).map(|index| bare(&domain(index)));
    let world = world(tenants);
    let fails = |effect, endpoint, index| {
        let fault = Fault::new(effect).endpoint(endpoint).tenant(domain(index));
        world.server.add_fault(fault);
    };
    fails(Effect::aadsts(7_000_215), Endpoint::Token, 1);
    fails(Effect::status(403), Endpoint::RoleAssignments, 2);
    let (code, found) = reports(&world, &[]);
    assert_eq!(code, Some(3), "{found:?}");
    let failed: Vec<bool> = found.iter().map(|one| !one["problem"].is_null()).collect();
    assert_eq!(failed, [false, true, true, false], "{found:?}");
    assert!(
        found[1]["problem"]["says"]
            .as_str()
            .unwrap()
            .contains("client secret is wrong")
    );
    for index in [0, 3] {
        let tenant = &world.server.tenants()[index];
        let app = tenant.app(tenant.client_id()).unwrap();
        assert_eq!(app.roles, [Role::USER_ADMINISTRATOR], "{index}");
    }
    // once the fault is gone, only what is left is done
    world.server.clear_faults();
    let (code, found) = reports(&world, &[]);
    let done: Vec<usize> = found
        .iter()
        .map(|one| one["done"].as_array().unwrap().len())
        .collect();
    assert_eq!((code, done), (Some(0), vec![0, 8, 8, 0]), "{found:?}");
}

#[test]
fn a_tenant_that_powershell_reaches_is_left_out() {
    let world = one();
    let text = world.read("rotation.toml");
    let tenant = "[[tenant]]\nid = \"fabrikam.onmicrosoft.com\"\nbackend = \"powershell\"\n";
    let tenant =
        format!("{tenant}client_id = \"{ADMIN}\"\ncredential = {{ kind = \"interactive\" }}\n");
    world.write(
        "rotation.toml",
        &text.replace("[setup]", &format!("{tenant}[setup]")),
    );
    let made = setup(&world, &[]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(
        made.stderr
            .contains("fabrikam.onmicrosoft.com is reached through PowerShell"),
        "{made:?}"
    );
    assert!(!made.stdout.contains("fabrikam"), "{made:?}");
}

#[test]
fn lost_answers_and_busy_servers_change_nothing_in_the_outcome() {
    for effect in [
        Effect::disconnect_after(),
        Effect::status_after(500),
        Effect::throttled(0),
        Effect::status(503).retry_after("0"),
        // what was created a moment ago is not known everywhere
        Effect::status(404),
    ] {
        let world = elsewhere(admin());
        for endpoint in [
            Endpoint::ServicePrincipals,
            Endpoint::AppRoleAssignments,
            Endpoint::Groups,
            Endpoint::RoleAssignments,
            Endpoint::GroupMembers,
        ] {
            let fault = Fault::new(effect.clone()).endpoint(endpoint).method("POST");
            world.server.add_fault(fault.once());
        }
        let made = setup(&world, &["--through", "group"]);
        assert_eq!(made.code, Some(0), "{effect:?}: {made:?}");
        assert_eq!(wrongs(&world), Vec::<String>::new(), "{effect:?}");
        let removed = setup(&world, &["--remove", "--through", "group"]);
        assert_eq!(removed.code, Some(0), "{effect:?}: {removed:?}");
    }
}

#[test]
fn without_a_terminal_and_without_yes_it_shows_what_it_would_do_and_stops() {
    let world = one();
    let shown = world.run(&["setup"]);
    assert_eq!(shown.code, Some(2), "{shown:?}");
    for part in [
        "+ grant the application permission User-PasswordProfile.ReadWrite.All",
        "+ assign User Administrator to the service principal",
        "there is no terminal to ask on",
        "--yes",
    ] {
        assert!(shown.stderr.contains(part), "{part}: {shown:?}");
    }
    assert_eq!(writes(&world), 0);
    setup(&world, &[]);
    let nothing = world.run(&["setup"]);
    assert_eq!(nothing.code, Some(0), "nothing to ask for: {nothing:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_it_asks_and_only_yes_will_do() {
    if Command::new("script").arg("--version").output().is_err() {
        println!("skipped: `script`, which makes a terminal, is not installed");
        return;
    }
    let world = one();
    for (answer, code) in [("no", 4), ("", 4), ("yes", 0)] {
        let mut command = Command::new("sh");
        let line = format!(
            "printf '{answer}\\n' | script -qec '{} setup' /dev/null",
            env!("CARGO_BIN_EXE_rotation")
        );
        command
            .args(["-c", &line])
            .current_dir(world.directory.path());
        let asked = output(command);
        assert!(asked.stdout.contains("make these 8 changes?"), "{asked:?}");
        assert_eq!(asked.code, Some(code), "{answer}: {asked:?}");
        let (_, roles) = held(&world).unwrap();
        assert_eq!(roles.is_empty(), code != 0, "{answer}: {asked:?}");
    }
}

#[test]
fn neither_the_secret_nor_the_token_of_whoever_acts_is_said_however_loud_it_is() {
    let world = one();
    for remove in [&[][..], &["--remove"]] {
        let args = ["-vvv", "setup", "--yes", "--through", "group"];
        let said = world.run(&[&args, remove].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(
            said.stderr.contains("TRACE"),
            "the log is not at trace level"
        );
        let text = format!("{}{}", said.stdout, said.stderr);
        // a token is a JWT, which begins so
        for secret in [ADMIN_SECRET, "eyJ"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[test]
fn what_does_not_go_together_is_said_before_anything_is_sent() {
    let world = one();
    for (args, says) in [
        (
            &["--through", "pim"][..],
            "--through pim wants a --justification",
        ),
        (
            &["--through", "pim", "--justification", " "],
            "expected some words",
        ),
        (
            &["--through", "pim", "--justification", "x", "--for", "0s"],
            "expected some time",
        ),
        (
            &["--account", "ann@contoso.onmicrosoft.com"],
            "--account does not go with setup",
        ),
        (&["--for", "180d"], "--for goes with --through pim"),
        (
            &["--justification", "x"],
            "--justification goes with --through pim",
        ),
        (&["--print", "--remove"], "cannot be used with"),
        (&["--as", "azure-clu"], "azure-cli"),
        (&["--as", "client-secret"], "any other goes into `[setup]`"),
    ] {
        let refused = world.run(&[&["setup"], args].concat());
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(says), "{args:?}: {refused:?}");
    }
    let nobody = World::new(60).run(&["setup"]);
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
    assert!(
        nobody
            .stderr
            .contains("nobody is named who sets tenants up"),
        "{nobody:?}"
    );
    assert!(world.server.requests().is_empty());
}

#[test]
fn licences_and_settings_that_stand_in_the_way_are_named() {
    let strict = Duration::from_secs(90 * 86_400);
    for (switch, way, says) in [
        (1, &["--through", "group"][..], "Entra ID P1"),
        (2, &HALF_A_YEAR, "Entra ID P2"),
        (3, &HALF_A_YEAR, "limit how long an assignment may last"),
    ] {
        let world = world(
            [bare("contoso.onmicrosoft.com").switches(|it| match switch {
                1 => it.premium_p1 = false,
                2 => it.premium_p2 = false,
                _ => it.longest_assignment = Some(strict),
            })],
        );
        let (code, reports) = reports(&world, way);
        assert_eq!(code, Some(3), "{says}: {reports:?}");
        assert!(
            reports[0]["problem"].to_string().contains(says),
            "{reports:?}"
        );
    }
}

#[test]
fn the_printed_requests_do_the_same_when_somebody_sends_them() {
    for way in [&[][..], &["--through", "group"], &HALF_A_YEAR] {
        let world = elsewhere(admin());
        let printed = world.json(&[&["setup", "--print", "--format", "json"], way].concat());
        assert!(world.server.requests().is_empty(), "it signs in to nothing");
        let link = printed[0]["admin_consent"].as_str().unwrap();
        let app = world.server.tenants()[1].client_id();
        assert!(
            link.ends_with(&format!("/{}/adminconsent?client_id={app}", domain(0))),
            "{link}"
        );
        let part = |name: &str| printed[0][name].as_array().unwrap().clone();
        let requests = [part("instead_of_consent"), part("role")].concat();
        by_hand(&world, &requests);
        assert_eq!(wrongs(&world), Vec::<String>::new(), "{way:?}");
        let nothing = setup(&world, way);
        assert!(
            nothing.stdout.contains("nothing was changed"),
            "{way:?}: {nothing:?}"
        );
        // for people, the same on lines
        let lines = world.run(&[&["setup", "--print"], way].concat());
        for request in &requests {
            let line = format!(
                "{} {}",
                request["method"].as_str().unwrap(),
                request["url"].as_str().unwrap()
            );
            assert!(lines.stdout.contains(&line), "{line}: {lines:?}");
        }
    }
}

/// Sends requests as they were printed, with the ids that earlier answers told in the place of what stands for them.
fn by_hand(world: &World, requests: &[Value]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let form = format!(
            "grant_type=client_credentials&client_id={ADMIN}&client_secret={ADMIN_SECRET}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"
        );
        let url = format!("{}/{}/oauth2/v2.0/token", world.server.base_url(), domain(0));
        let request = client.post(url).header("content-type", "application/x-www-form-urlencoded");
        let token: Value = request.body(form).send().await.unwrap().json().await.unwrap();
        let token = token["access_token"].as_str().unwrap();
        let mut known: Vec<(String, String)> = Vec::new();
        for request in requests {
            let mut request = request.clone();
            for (placeholder, id) in &known {
                for part in ["url", "body"] {
                    let text = request[part].to_string().replace(placeholder, id);
                    request[part] = serde_json::from_str(&text).unwrap();
                }
            }
            let method = request["method"].as_str().unwrap().parse().unwrap();
            let url = request["url"].as_str().unwrap();
            assert!(!url.contains('{'), "{url}");
            let mut sent = client.request(method, url).bearer_auth(token);
            if !request["body"].is_null() {
                sent = sent.json(&request["body"]);
            }
            let answer = sent.send().await.unwrap();
            let (status, answer) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_success(), "{request}: {status} {answer}");
            let does = request["does"].as_str().unwrap();
            if let Some((_, named)) = does.split_once("the `id` of the answer is ") {
                let placeholder = named.strip_suffix(" below").unwrap().to_owned();
                let answer: Value = serde_json::from_str(&answer).unwrap();
                known.push((placeholder, answer["id"].as_str().unwrap().to_owned()));
            }
        }
    });
}

#[test]
fn a_script_for_powershell_names_every_tenant_and_asks_nobody() {
    let tenants = ["one.onmicrosoft.com", "two.onmicrosoft.com"];
    let world = World::with(tenants.map(|domain| Tenant::demo_at(domain, 70)));
    let cloud = format!(
        "cloud = {{ authority = \"{0}\", graph = \"{0}\" }}",
        world.server.base_url()
    );
    let refused = world.run(&["setup", "--via", "powershell"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("know the clouds by name"),
        "{refused:?}"
    );
    world.edit(&cloud, "");
    for (module, words) in [
        (&[][..], "Get-MgServicePrincipal -Filter"),
        (&["--module", "microsoft.entra"], "Connect-Entra"),
        (&["--module", "azuread"], "Connect-AzureAD"),
    ] {
        let printed = world.run(&[&["setup", "--via", "powershell"], module].concat());
        assert_eq!(printed.code, Some(0), "{printed:?}");
        for words in [
            words,
            tenants[0],
            tenants[1],
            "User-PasswordProfile.ReadWrite.All",
        ] {
            assert!(printed.stdout.contains(words), "{words}: {printed:?}");
        }
        assert_eq!(
            printed.stderr.contains("retired"),
            module.contains(&"azuread")
        );
        let one = [
            &["--tenant", tenants[1], "setup", "--via", "powershell"],
            module,
        ]
        .concat();
        assert!(!world.run(&one).stdout.contains(tenants[0]));
    }
    // one without PIM is not given the permission that only PIM takes
    let second = format!("id = \"{}\"\n", tenants[1]);
    world.edit(&second, &format!("{second}pim = false\n"));
    let printed = world.run(&["setup", "--via", "powershell"]).stdout;
    let mut lines = printed
        .lines()
        .filter(|line| line.contains("PrivilegedEligibilitySchedule"));
    let only = lines.next().unwrap();
    assert!(
        only.contains(&format!("Tenant = '{}'", tenants[0])),
        "{only}"
    );
    assert_eq!(lines.next(), None);
    let unknown = world.run(&["setup", "--via", "powershell", "--module", "msonline"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert_eq!(world.server.totals().requests, 0);
}
