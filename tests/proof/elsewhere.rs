//! An engine that is not on a socket of this machine: it is asked all the same, and the same is found.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use crate::VALUE;
use crate::matrix::Project;
use crate::scene::done;

/// A port that leads to the engine's socket.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let engine = UnixStream::connect("/var/run/docker.sock").unwrap();
            pipe(client.try_clone().unwrap(), engine.try_clone().unwrap(), |to| to.shutdown(Shutdown::Write));
            pipe(engine, client, |to: &TcpStream| to.shutdown(Shutdown::Write));
        }
    });
    port
}

fn pipe<R, W>(mut from: R, mut to: W, end: fn(&W) -> std::io::Result<()>)
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = end(&to);
    });
}

#[test]
fn an_engine_that_is_reached_by_tcp_is_searched_alike() {
    let project = Project::new("volume");
    project.plant(&format!(
        "services: {{ frontend: {{ hostname: {VALUE} }} }}\nnetworks: {{ backend: {{ labels: {{ planted: {VALUE} }} }} }}\n\
         volumes: {{ backend-data: {{ labels: {{ planted: {VALUE} }} }} }}\n"
    ));
    let facts = project.leaks("deploy");
    for place in ["Config.Hostname", "network inspect", "volume inspect"] {
        assert!(facts.iter().any(|fact| fact.contains(place)), "{place} in {facts:#?}");
    }
    let mut command = project.command("deploy");
    command.env("DOCKER_HOST", format!("tcp://127.0.0.1:{}", port())).arg("--verbose");
    let said = done(command).expect(7);
    for asked in ["GET /networks/", "GET /volumes/", "/history", "/top"] {
        assert!(said.stderr.contains(asked), "{asked} in {}", said.stderr);
    }
    assert_eq!(project.problems_of(&said, "leak"), facts);
}
