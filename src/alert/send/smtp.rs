//! One mail by SMTP (RFC 5321): in clear text, by STARTTLS (RFC 3207) or over TLS from the first byte, with
//! AUTH PLAIN (RFC 4616) where there is a password.
//!
//! ```text
//!   connect ─► greeting ─► EHLO ─┬─► STARTTLS ─► TLS ─► EHLO ─┬─► [AUTH] ─► MAIL ─► RCPT… ─► DATA ─► QUIT
//!                                └──── plain, or TLS before ──┘
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::http::{connect, secured};
use super::line::{Line, SendError};
use super::mail;
use crate::alert::message::Message;
use crate::model::{AlertReceiver, EmailWay, MailSecurity};

/// The longest line of a reply, in bytes (RFC 5321 section 4.5.3.1.5 asks for 512), and the most lines of one.
const MAX_LINE: u64 = 2_048;
const MAX_LINES: usize = 100;
/// What this client calls itself: it may have no name that a mail server could look up (section 4.1.4).
const ME: &str = "[127.0.0.1]";

/// Delivers a message to a mail server, which has it for every mailbox when this returns.
pub(super) async fn send(
    line: &Line,
    to: &AlertReceiver,
    way: &EmailWay,
    message: &Message,
) -> Result<(), SendError> {
    let stream = connect(&way.host, way.port).await?;
    match way.security {
        MailSecurity::Plain => {
            let mut talk = Talk::new(stream);
            talk.greeted().await?;
            talk.hello().await?;
            talk.deliver(way, message).await
        }
        MailSecurity::Tls => {
            let mut talk = Talk::new(secured(line, to, &way.host, stream).await?);
            talk.greeted().await?;
            talk.hello().await?;
            talk.deliver(way, message).await
        }
        MailSecurity::StartTls => {
            let mut talk = Talk::new(stream);
            talk.greeted().await?;
            let offers = talk.hello().await?;
            if !offers.iter().any(|offer| offer.eq_ignore_ascii_case("STARTTLS")) {
                return Err(SendError::again(format!("{} does not offer STARTTLS", way.host)));
            }
            talk.say("STARTTLS", 220).await?;
            // What came before TLS counts for nothing, not even what is already there (RFC 3207 section 5).
            if !talk.stream.buffer().is_empty() {
                return Err(SendError::again(format!("{} goes on in clear text after STARTTLS", way.host)));
            }
            let stream = secured(line, to, &way.host, talk.stream.into_inner()).await?;
            let mut talk = Talk::new(stream);
            talk.hello().await?;
            talk.deliver(way, message).await
        }
    }
}

/// A conversation.
struct Talk<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    fn new(stream: S) -> Talk<S> {
        Talk { stream: BufReader::new(stream) }
    }

    async fn greeted(&mut self) -> Result<(), SendError> {
        self.reply("the greeting", 220).await.map(drop)
    }

    /// Says hello; what the server offers.
    async fn hello(&mut self) -> Result<Vec<String>, SendError> {
        let offers = self.say(&format!("EHLO {ME}"), 250).await?;
        Ok(offers.into_iter().skip(1).collect())
    }

    async fn deliver(&mut self, way: &EmailWay, message: &Message) -> Result<(), SendError> {
        if let Some((user, password)) = &way.login {
            let said = STANDARD.encode(format!("\0{user}\0{}", password.reveal()));
            self.write(&format!("AUTH PLAIN {said}\r\n")).await?;
            self.reply("AUTH", 235).await?;
        }
        self.say(&format!("MAIL FROM:<{}>", way.from), 250).await?;
        for to in &way.to {
            self.say(&format!("RCPT TO:<{to}>"), 250).await?;
        }
        self.say("DATA", 354).await?;
        // No line of it begins with a dot (section 4.5.2): headers do not, and base64 has none.
        self.write(&mail::compose(way, message)).await?;
        self.say(".", 250).await?;
        // It has the mail: how it takes the farewell changes nothing.
        let _ = self.write("QUIT\r\n").await;
        Ok(())
    }

    /// Says one line and waits for its reply.
    async fn say(&mut self, words: &str, wanted: u16) -> Result<Vec<String>, SendError> {
        self.write(&format!("{words}\r\n")).await?;
        let verb = if words == "." { "the mail" } else { words.split([' ', ':']).next().unwrap_or(words) };
        self.reply(verb, wanted).await
    }

    async fn write(&mut self, text: &str) -> Result<(), SendError> {
        let failed = |why| SendError::again(format!("the mail server went away: {why}"));
        let stream = self.stream.get_mut();
        stream.write_all(text.as_bytes()).await.map_err(failed)?;
        stream.flush().await.map_err(failed)
    }

    /// A reply's lines without their code, if it is the one that is wanted.
    async fn reply(&mut self, to: &str, wanted: u16) -> Result<Vec<String>, SendError> {
        let mut lines = Vec::new();
        loop {
            let mut bytes = Vec::new();
            let read = (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut bytes).await;
            read.map_err(|why| SendError::again(format!("no reply to {to}: {why}")))?;
            let text = String::from_utf8_lossy(&bytes);
            let code = text.get(..3).and_then(|code| code.parse::<u16>().ok());
            let (Some(code), true) = (code, text.ends_with('\n') && lines.len() < MAX_LINES) else {
                let said = text.trim();
                return Err(SendError::again(format!("no reply to {to} as mail servers give it: {said:?}")));
            };
            let more = text.as_bytes().get(3) == Some(&b'-');
            lines.push(text.get(4..).unwrap_or_default().trim().to_owned());
            if more {
                continue;
            }
            // 251 and 252 take a mailbox as 250 does (section 4.2.1): it is somebody else's to deliver.
            if code == wanted || wanted == 250 && (code == 251 || code == 252) {
                return Ok(lines);
            }
            // A 5xx may be about this mail, its size or its sender (section 4.2.1); a day's tries find out.
            return Err(SendError::again(format!("{to} was answered {code} {}", lines.join(" "))));
        }
    }
}
