//! A server that is down, stalls, or dies.

use support::build::BOOTSTRAP_ARCHIVE;
use support::http_server::Server;
use support::image::Said;

use super::{converges, on_server, served, undisturbed};

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_archive_is_named_with_url_and_status() {
    if !support::is_root() {
        return;
    }
    for (status, passes) in [(404, false), (503, true), (500, true)] {
        for archive in ["units", BOOTSTRAP_ARCHIVE] {
            let (serve, server, image, before) = served().await;
            let file = if archive == "units" {
                serve.packed.archive(archive)
            } else {
                serve.packed.bootstrap_archive()
            };
            let path = on_server(&serve, &file);
            server.answer(&path, status, 1000);
            let address = server.at(&path);
            // The checks find it before anything is touched; without them the install does.
            image
                .install(server.url(), &[])
                .ends(3, &[&["FAIL", "bootstrap.artifacts"], &["state:", "nothing was changed"]]);
            image.is_as(&before);
            image
                .install(server.url(), &["-d"])
                .ends(1, &[&[&address, &status.to_string()], &["state:"], &["cure:"]]);
            image.is_as(&before);
            if passes {
                // One that the checks see, and two for the install itself.
                let passing = Server::start(serve.path()).await;
                passing.answer(&path, status, 3);
                image.install(passing.url(), &["-d"]).ends(0, &[&["done:"]]);
                image.equals(undisturbed());
            } else {
                converges(&image, serve.url());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn install_with_the_server_down_changes_nothing() {
    if !support::is_root() {
        return;
    }
    let (serve, server, image, before) = served().await;
    let url = server.url().to_owned();
    let _refusing = server.stop().await;
    image.install(&url, &[]).ends(
        3,
        &[&["error:", "bootstrap.connect"], &["refused"], &["state:", "nothing was changed"]],
    );
    image.equals(&before);
    converges(&image, serve.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_dies_in_a_download_is_named_or_resumed() {
    if !support::is_root() {
        return;
    }
    for archive in ["units", BOOTSTRAP_ARCHIVE] {
        let (serve, server, image, before) = served().await;
        let file = if archive == "units" {
            serve.packed.archive(archive)
        } else {
            serve.packed.bootstrap_archive()
        };
        let path = on_server(&serve, &file);
        server.cut_after(&path, 20);
        let child = image.start(&["install", "master", "--bootstrap-url", server.url()]);
        server.is_asked(&format!("GET {path} ")).await;
        let url = server.url().to_owned();
        let _refusing = server.stop().await;
        let said =
            tokio::task::spawn_blocking(move || Said::of(child.wait_with_output().expect("wait")))
                .await
                .expect("wait");
        said.ends(1, &[&["because", &url, "refused", "tried"], &["state:"], &["cure:"]]);
        image.is_as(&before);
        let back = Server::start(serve.path()).await;
        back.cut_times(&path, 1000, 2);
        converges(&image, back.url());
        assert!(back.requests(&path) > 2, "the download was not gone on with");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_download_is_requested_again() {
    if !support::is_root() {
        return;
    }
    let (serve, server, image, _) = served().await;
    server.stall_after(&on_server(&serve, &serve.packed.archive("units")), 100, 1);
    converges(&image, server.url());
}
