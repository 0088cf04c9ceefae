//! Connections that a fault can cut before a byte of the answer is out.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Handshakes that may be waiting to be served; more wait in the kernel.
const BACKLOG: usize = 64;

/// A byte stream, plain or encrypted.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// The connection beneath.
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

#[cfg(feature = "tls")]
impl Stream for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Cuts one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plug(Arc<AtomicU8>);

const WHOLE: u8 = 0;
const CLOSED: u8 = 1;
const RESET: u8 = 2;

impl Plug {
    /// From now on nothing gets through; the next attempt to write closes the connection.
    pub(crate) fn pull(&self) {
        self.0.store(CLOSED, Ordering::Release);
    }

    /// The same, and the peer is told by a reset.
    pub(crate) fn reset(&self) {
        self.0.store(RESET, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, WireListener>> for Plug {
    fn connect_info(stream: IncomingStream<'_, WireListener>) -> Self {
        stream.io().plug.clone()
    }
}

/// A connection with its [`Plug`].
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    plug: Plug,
}

impl Wire {
    fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            plug: Plug::default(),
        }
    }

    fn check(&self) -> io::Result<()> {
        match self.plug.0.load(Ordering::Acquire) {
            WHOLE => return Ok(()),
            // Without it the kernel says goodbye properly, which is a fault too, only a lesser one.
            RESET => self.stream.tcp().set_zero_linger().ok(),
            _ => None,
        };
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.plug.0.load(Ordering::Acquire) == RESET {
            // A farewell would arrive before the reset does.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Makes one accepted connection ready to be served.
pub(crate) trait Handshake: Clone + Send + 'static {
    /// `None` if the peer does not complete it.
    fn shake(self, stream: TcpStream) -> impl Future<Output = Option<Wire>> + Send;
}

/// No encryption: ready at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain;

impl Handshake for Plain {
    async fn shake(self, stream: TcpStream) -> Option<Wire> {
        Some(Wire::new(stream))
    }
}

#[cfg(feature = "tls")]
impl Handshake for tokio_rustls::TlsAcceptor {
    async fn shake(self, stream: TcpStream) -> Option<Wire> {
        self.accept(stream).await.ok().map(Wire::new)
    }
}

/// Hands over connections whose handshake is done; a slow one keeps no other waiting.
pub(crate) struct WireListener {
    address: SocketAddr,
    ready: mpsc::Receiver<Wire>,
}

impl WireListener {
    /// Starts to accept; must be called inside a runtime.
    pub(crate) fn start(listener: TcpListener, handshake: impl Handshake) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(BACKLOG);
        tokio::spawn(accept(listener, handshake, sender));
        Ok(Self { address, ready })
    }
}

async fn accept(listener: TcpListener, handshake: impl Handshake, ready: mpsc::Sender<Wire>) {
    loop {
        // A failed accept concerns one peer only, or passes (out of file handles).
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        // Without it small answers wait for acknowledgements; a refusal costs only speed.
        stream.set_nodelay(true).ok();
        let (handshake, ready) = (handshake.clone(), ready.clone());
        tokio::spawn(async move {
            if let Some(wire) = handshake.shake(stream).await {
                // The receiver is gone only when the server is.
                ready.send(wire).await.ok();
            }
        });
    }
}

impl Listener for WireListener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        match self.ready.recv().await {
            Some(wire) => (wire, self.address),
            // The accepting task ends only with the runtime.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
