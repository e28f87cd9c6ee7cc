/// SIGHUP, by which an operator's tools ask for a look at the certificate's files. Whoever listens to it is not ended by
/// it any more.
#[derive(Debug)]
pub(super) struct Hangups(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

impl Hangups {
    /// Listens from now on. Within a tokio runtime.
    pub(super) fn of_this_process() -> Self {
        #[cfg(unix)]
        return Self(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok());
        #[cfg(not(unix))]
        Self()
    }

    /// Listens to nothing.
    pub(super) fn none() -> Self {
        #[cfg(unix)]
        return Self(None);
        #[cfg(not(unix))]
        Self()
    }

    /// The next one.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
