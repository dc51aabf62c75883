//! Standard input and output of a worker process, neither of which may hold up the run: what it does not read waits
//! here, and what it does not write is waited for only so long.

#[cfg(unix)]
mod polled;
#[cfg(any(test, not(unix)))]
mod threaded;

use std::io::Result;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::WireError;

#[cfg(unix)]
pub(super) use polled::Polled as Chosen;
#[cfg(not(unix))]
pub(super) use threaded::Threaded as Chosen;

/// Both ends that are ours.
pub(super) trait Pipes: Sized {
    /// Those of a process.
    ///
    /// # Errors
    /// When they cannot be made what they should be.
    fn new(stdin: ChildStdin, stdout: ChildStdout) -> Result<Self>;

    /// Sends a frame, the answer to which may have so many bytes. Whether it arrives shows in the answer.
    fn send(&mut self, frame: Vec<u8>, largest_answer: u32);

    /// Ends its input.
    fn end_input(&mut self);

    /// What it has said, or how its output ended, without being asked.
    fn unasked(&mut self) -> Option<std::result::Result<Vec<u8>, WireError>>;

    /// The next frame, or how its output ended; nothing where neither comes in this time.
    fn wait(&mut self, time: Duration) -> Option<std::result::Result<Vec<u8>, WireError>>;

    /// From now on its output is read and thrown away, until it ends or is over: a pipe that nobody reads would end the
    /// process, which would look like a crash of its own.
    fn drain(&mut self, is_over: &Arc<AtomicBool>);
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::Ordering;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    fn shell<P: Pipes>(script: &str) -> (Child, P) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pipes = P::new(child.stdin.take().unwrap(), child.stdout.take().unwrap()).unwrap();
        (child, pipes)
    }

    /// A frame of so many bytes, and what is in it.
    fn frame(length: usize) -> (Vec<u8>, Vec<u8>) {
        let mut inside = (length as u64 - 8).to_le_bytes().to_vec();
        inside.extend((8..length).map(|place| (place * 7 % 251) as u8));
        ([&u32::try_from(length).unwrap().to_le_bytes()[..], &inside].concat(), inside)
    }

    fn echoes<P: Pipes>() {
        // Larger than a pipe holds, in both directions.
        let (mut child, mut pipes) = shell::<P>("exec cat");
        for length in [10, 300, 5_000, 3_000_000] {
            let (sent, inside) = frame(length);
            assert!(pipes.unasked().is_none());
            assert!(pipes.wait(SHORT).is_none(), "nothing was sent");
            pipes.send(sent, 1 << 24);
            assert_eq!(pipes.wait(LONG).unwrap().unwrap(), inside, "{length} bytes");
        }
        pipes.end_input();
        assert!(matches!(pipes.wait(LONG), Some(Err(WireError::Closed))));
        assert!(child.wait().unwrap().success());
    }

    fn does_not_wait_for_one_that_does_not_read<P: Pipes>() {
        let (mut child, mut pipes) = shell::<P>("exec sleep 60");
        let started = Instant::now();
        pipes.send(frame(1 << 22).0, 1 << 24);
        assert!(pipes.wait(SHORT).is_none());
        assert!(started.elapsed() < LONG);
        child.kill().unwrap();
        assert!(matches!(pipes.wait(LONG), Some(Err(WireError::Closed))));
        child.wait().unwrap();
    }

    fn refuses<P: Pipes>() {
        let (mut child, mut pipes) = shell::<P>("cat > /dev/null; echo hello there");
        pipes.send(frame(100).0, 50);
        pipes.end_input();
        let refused = pipes.wait(LONG).unwrap().unwrap_err();
        assert!(matches!(&refused, WireError::NotAFrame(text) if text == "hello there"), "{refused}");
        child.wait().unwrap();
        let (mut child, mut pipes) = shell::<P>("exec cat");
        pipes.send(frame(100).0, 50);
        let refused = pipes.wait(LONG).unwrap().unwrap_err();
        assert!(matches!(refused, WireError::LargerThanDue { length: 100, largest: 50 }), "{refused}");
        pipes.end_input();
        child.wait().unwrap();
    }

    fn hears_what_nobody_asked_for<P: Pipes>() {
        let (mut child, mut pipes) =
            shell::<P>("printf '\\012\\000\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000{}'; exec cat");
        let started = Instant::now();
        let said = loop {
            match pipes.unasked() {
                Some(said) => break said.unwrap(),
                None => assert!(started.elapsed() < LONG),
            }
        };
        assert_eq!(said.len(), 10);
        pipes.end_input();
        child.wait().unwrap();
    }

    fn drains<P: Pipes>() {
        // As much as no pipe holds: unless somebody reads, it never ends.
        let (mut child, mut pipes) = shell::<P>("head -c 3000000 /dev/zero");
        let over = Arc::new(AtomicBool::new(false));
        pipes.drain(&over);
        assert!(child.wait().unwrap().success());
        over.store(true, Ordering::SeqCst);
    }

    macro_rules! of_both {
        ($($name:ident: $test:ident;)*) => {$(
            #[test]
            fn $name() {
                #[cfg(unix)]
                $test::<polled::Polled>();
                $test::<threaded::Threaded>();
            }
        )*};
    }

    of_both! {
        frames_of_any_size_come_back: echoes;
        one_that_does_not_read_is_not_waited_for: does_not_wait_for_one_that_does_not_read;
        what_is_no_frame_or_too_large_is_refused: refuses;
        what_nobody_asked_for_is_heard: hears_what_nobody_asked_for;
        what_is_thrown_away_is_read: drains;
    }
}
