//! Removes what DC/OS made of the network. Each is looked for again first: what is gone is none to
//! remove.

use crate::dcos::receipt::Object;
use crate::system::netlink::ipvs::Ipvs;
use crate::system::netlink::route::Routing;

pub(crate) fn remove(object: &Object) -> anyhow::Result<()> {
    if let Object::IpvsService { service } = object {
        let mut ipvs = Ipvs::open()?;
        for found in ipvs.services()?.iter().filter(|s| s.text == *service) {
            ipvs.remove(found)?;
        }
        return Ok(());
    }
    let mut routing = Routing::open()?;
    match object {
        Object::Interface { name } => {
            for link in routing.links()?.iter().filter(|l| l.name == *name) {
                routing.remove_link(link)?;
            }
        }
        Object::Address { interface, address } => {
            let index = routing.links()?.iter().find(|l| l.name == *interface).map(|l| l.index);
            let of_interface = routing.addresses()?.into_iter().filter(|a| Some(a.index) == index);
            for found in of_interface.filter(|a| format!("{}/{}", a.address, a.prefix) == *address)
            {
                routing.remove_address(&found)?;
            }
        }
        Object::RoutingRule { rule } => {
            for found in routing.rules()?.iter().filter(|r| r.text == *rule) {
                routing.remove_rule(found)?;
            }
        }
        Object::Route { route } => {
            for found in routing.routes()?.iter().filter(|r| r.text == *route) {
                routing.remove_route(found)?;
            }
        }
        _ => {}
    }
    Ok(())
}
