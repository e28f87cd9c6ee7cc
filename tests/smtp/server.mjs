// A mail server for tests: Nodemailer's smtp-server, and mailparser to read what arrived. It is told what to do by its
// first argument, a JSON object, and by the addresses that mails go to; it says what happened in lines of JSON. It ends
// when its input does.
//
//   never@..     refused for good                 later@..     put off, each time
//   unread@..    refused after its content        later2@..    put off twice, then taken
//   hang1@..     the first try gets no answer     banned@..    as a sender: refused for good

import { createServer } from 'node:net';
import { simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';

const options = JSON.parse(process.argv[2] ?? '{}');
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const refusal = (code, text) => Object.assign(new Error(text), { responseCode: code });

const tries = new Map();
function count(address) {
  tries.set(address, (tries.get(address) ?? 0) + 1);
  return tries.get(address);
}

const server = new SMTPServer({
  secure: options.secure === true,
  key: options.key,
  cert: options.cert,
  banner: 'test',
  logger: false,
  authOptional: options.user === undefined,
  allowInsecureAuth: false,
  disabledCommands: options.cert ? [] : ['STARTTLS', 'AUTH'],
  onConnect(_session, done) {
    say({ event: 'connection' });
    done();
  },
  onAuth(auth, _session, done) {
    say({ event: 'auth', method: auth.method, user: auth.username });
    if (auth.username === options.user && auth.password === options.password) return done(null, { user: auth.username });
    return done(refusal(535, '5.7.8 Authentication credentials invalid'));
  },
  onMailFrom({ address }, _session, done) {
    say({ event: 'sender', address });
    done(address.startsWith('banned@') ? refusal(550, '5.7.1 not from you') : null);
  },
  onRcptTo({ address }, _session, done) {
    const [name] = address.split('@');
    const turn = count(address);
    say({ event: 'recipient', address, turn });
    const [, kind, limit] = /^(never|later|hang)(\d*)$/.exec(name) ?? [];
    const until = limit ? Number(limit) : Infinity;
    if (kind === undefined || turn > until) return done();
    if (kind === 'never') return done(refusal(550, `5.1.1 <${address}>: no such user`));
    if (kind === 'later') return done(refusal(450, `4.2.1 <${address}>: not now`));
    return undefined;
  },
  onData(stream, session, done) {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', async () => {
      const raw = Buffer.concat(chunks);
      const { mailFrom, rcptTo } = session.envelope;
      const to = rcptTo.map((one) => one.address);
      if (to.some((address) => address.startsWith('unread@'))) {
        return done(refusal(554, '5.6.0 not what we read'));
      }
      const mail = await simpleParser(raw, { skipTextToHtml: true, skipHtmlToText: true });
      say({
        event: 'mail',
        sender: mailFrom.address,
        recipients: to,
        tls: session.secure,
        user: session.user ?? null,
        raw: raw.toString('latin1'),
        from: mail.from?.text,
        to: mail.to?.text,
        subject: mail.subject,
        text: mail.text,
        html: mail.html,
        id: mail.messageId,
        date: mail.date?.toISOString(),
        attachments: mail.attachments.length,
        headers: mail.headerLines.map((line) => line.key),
        automatic: mail.headers.get('auto-submitted'),
      });
      return done(null, 'taken');
    });
  },
});
server.on('error', (error) => say({ event: 'error', text: String(error.message) }));

// Accepts connections and never says a word.
const silent = createServer((socket) => {
  say({ event: 'connection' });
  socket.on('error', () => {});
});

const listening = options.silent ? silent : server;
const started = listening.listen(options.port ?? 0, '127.0.0.1', () => {
  const address = options.silent ? silent.address() : started.address();
  say({ event: 'ready', port: address.port });
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
