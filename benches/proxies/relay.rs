//! The plain relay: bytes from one socket to the other and back, on one thread. It is what any proxy costs at least.
//!
//! It runs as a process of its own, which is this program called as `proxies relay LISTEN TARGET`.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

pub const COMMAND: &str = "relay";

pub fn arguments() -> Option<(SocketAddr, SocketAddr)> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next()? == COMMAND).then_some(())?;
    Some((arguments.next()?.parse().ok()?, arguments.next()?.parse().ok()?))
}

pub fn run(listen: SocketAddr, target: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (client, _) = listener.accept().await?;
            tokio::spawn(async move {
                // Whoever went away first, the other one sees it too.
                let _ = connect(client, target).await;
            });
        }
    })
}

async fn connect(mut client: TcpStream, target: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}
