//! Twenty tenants, each broken in another way: doctor names every fault, setup mends those that are rights, and the others
//! are left as they are and still named.

use std::time::Duration;

use entra_sim::{App, Config, Group, Role, Server, Tenant};
use serde_json::Value;
use uuid::{Uuid, uuid};

use crate::setup::{admin, name_admin};
use crate::world::World;

/// One app, registered in the first tenant.
const APP: Uuid = uuid!("5e7a0000-0000-4000-8000-000000000a99");

/// How a tenant is broken.
struct Broken {
    tenant: Tenant,
    /// What differs from the usual in its configuration.
    edit: Option<(&'static str, &'static str)>,
    /// What a line with ✗ says, or its fix.
    says: &'static str,
    /// How many lines have ✗.
    faults: usize,
    mends: bool,
}

fn domain(index: usize) -> String {
    format!("tenant{index:02}.onmicrosoft.com")
}

fn app() -> App {
    App::rotation().client_id(APP).secret("the app's secret")
}

fn fleet() -> Vec<Broken> {
    let mut all: Vec<Broken> = Vec::new();
    let mut add = |says, mends, change: &dyn Fn(Tenant) -> Tenant| {
        let tenant = Tenant::demo_at(&domain(all.len()), 60);
        let tenant = change(tenant.first_app(app())).app(admin());
        all.push(Broken {
            tenant,
            edit: None,
            says,
            faults: 1,
            mends,
        });
    };
    let without = |permission: &'static str| {
        move |tenant: Tenant| tenant.first_app(app().without_permission(permission))
    };
    let bare = || {
        App::new("Password rotation")
            .client_id(APP)
            .secret("the app's secret")
    };
    let password = "User-PasswordProfile.ReadWrite.All";
    add(password, true, &without(password));
    add("User.Read.All", true, &without("User.Read.All"));
    let roles = "RoleManagement.Read.Directory";
    add(roles, true, &without(roles));
    add(
        "GroupMember.Read.All",
        true,
        &without("GroupMember.Read.All"),
    );
    add("Domain.Read.All", true, &without("Domain.Read.All"));
    let eligible = "PrivilegedEligibilitySchedule.Read.AzureADGroup";
    add(eligible, true, &without(eligible));
    // the demo tenant assigns roles in units
    let units = "AdministrativeUnit.Read.All";
    add(units, true, &without(units));
    let no_role = "holds no role that sets passwords";
    add(no_role, true, &|tenant| {
        tenant.first_app(app().without_roles())
    });
    add(no_role, true, &|tenant| {
        tenant.first_app(app().without_roles().role(Role::DIRECTORY_READERS))
    });
    // the role is there, in a group that the app is not in
    add(no_role, true, &|tenant| {
        let group = Group::role_assignable("rotation").role(Role::USER_ADMINISTRATOR);
        tenant.first_app(app().without_roles()).group(group)
    });
    add(password, true, &|tenant| tenant.first_app(bare()));
    add("User.Read.All", true, &|tenant| {
        let role = Role::USER_ADMINISTRATOR;
        tenant.first_app(bare().role(role))
    });
    // consent for people is none for the app itself
    add("User.Read.All", true, &|tenant| {
        let app = app().without_permission("User.Read.All");
        tenant.first_app(app.delegated_permission("User.Read.All"))
    });
    // a permission that sounds alike
    add(password, true, &|tenant| {
        let app = app().without_permission(password);
        tenant.first_app(app.permission("User.ManageIdentities.All"))
    });
    add("does not exist in this tenant", true, &|tenant| {
        tenant.first_app(App::new("some other app"))
    });
    add("client secret has expired", false, &|tenant| {
        let expired = App::rotation().client_id(APP);
        tenant.first_app(expired.expiring_secret("the app's secret", Duration::ZERO))
    });
    add("`pim = false`", false, &|tenant| {
        tenant.switches(|it| it.premium_p2 = false)
    });
    add("cannot read the role assignments", false, &|tenant| {
        tenant.switches(|it| it.role_assignments_require_filter = true)
    });
    add("client secret is wrong", false, &|tenant| tenant);
    add("tenant does not exist", false, &|tenant| tenant);
    // without any permission, each of six is named once
    for bare in [10, 11] {
        all[bare].faults = 6;
    }
    let last = all.len() - 1;
    all[last - 1].edit = Some(("secret.txt", "wrong.txt"));
    all[last].edit = Some(("tenant19", "tenant91"));
    all
}

/// The ✗ of each tenant, with their fixes.
fn doctor(world: &World) -> Vec<Vec<String>> {
    let output = world.run(&["doctor", "--format", "json"]);
    let lists: Vec<Value> =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let wrongs = |list: &Value| {
        let checks = list["checks"].as_array().unwrap().iter();
        let wrong = checks.filter(|check| check["finding"] == "wrong");
        wrong.map(Value::to_string).collect()
    };
    // the first is that of the store
    lists.iter().skip(1).map(wrongs).collect()
}

#[test]
fn setup_mends_the_rights_of_a_broken_fleet_and_leaves_every_other_fault_to_be_seen() {
    let fleet = fleet();
    assert_eq!(fleet.len(), 20);
    let tenants = fleet.iter().map(|broken| broken.tenant.clone());
    let server = Server::start_blocking(Config::default().tenants(tenants)).unwrap();
    let url = server.base_url().to_owned();
    let world = World::of(server);
    let text = world.read("rotation.toml");
    let mut text = text
        .get(..text.find("[[tenant]]").unwrap())
        .unwrap()
        .to_owned();
    for (index, broken) in fleet.iter().enumerate() {
        let tenant = format!(
            "[[tenant]]\nid = \"{}\"\nclient_id = \"{APP}\"\n\
             credential = {{ kind = \"client-secret\", file = \"secret.txt\" }}\n\
             cloud = {{ authority = \"{url}\", graph = \"{url}\" }}\n",
            domain(index)
        );
        let (from, to) = broken.edit.unwrap_or_default();
        text.push_str(&tenant.replace(from, to));
    }
    world.write("secret.txt", "the app's secret");
    world.write("wrong.txt", "another secret");
    world.write(
        "rotation.toml",
        &text.replace("breakglass@tenant00.onmicrosoft.com", "x@y.z"),
    );
    name_admin(&world);

    let before = doctor(&world);
    for (broken, wrongs) in fleet.iter().zip(&before) {
        let named = wrongs.iter().any(|wrong| wrong.contains(broken.says));
        assert!(named, "{}: {wrongs:#?}", broken.says);
        assert_eq!(wrongs.len(), broken.faults, "{}: {wrongs:#?}", broken.says);
    }
    let output = world.run(&["setup", "--yes"]);
    // one of them does not exist, so that nobody can act there
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(
        output.stdout.contains("1 of 20 tenants failed"),
        "{output:?}"
    );
    let after = doctor(&world);
    for ((broken, before), after) in fleet.iter().zip(&before).zip(&after) {
        if broken.mends {
            assert!(after.is_empty(), "{}: {after:#?}", broken.says);
        } else {
            assert_eq!(before.len(), after.len(), "{after:#?}");
            let named = after.iter().any(|wrong| wrong.contains(broken.says));
            assert!(named, "{}: {after:#?}", broken.says);
        }
    }
    assert_eq!(world.sets(), 0);
}
