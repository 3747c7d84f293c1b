"""A mail server for tests: every mail it takes is a line of JSON on standard output.

mailbox.py PORT [CERTIFICATE KEY USER PASSWORD]

With a certificate it offers STARTTLS, and takes mail only after it and after AUTH with that password. The
first line is the port it listens on.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "data": envelope.content.decode("utf-8"),
            "tls": session.ssl is not None,
            "user": session.auth_data,
        }
        print(json.dumps(mail), flush=True)
        return "250 taken"


def options(args):
    if not args:
        return {}
    certificate, key, user, password = args
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def authenticate(server, session, envelope, mechanism, data):
        fits = data.login == user.encode() and data.password == password.encode()
        # A refusal that is not handled yet is the server's to word.
        return AuthResult(success=fits, handled=False, auth_data=user if fits else None)

    return {
        "tls_context": context,
        "require_starttls": True,
        "auth_required": True,
        "authenticator": authenticate,
    }


async def main(port, args):
    chosen = options(args)
    loop = asyncio.get_running_loop()
    make = lambda: SMTP(Mailbox(), enable_SMTPUTF8=False, **chosen)
    server = await loop.create_server(make, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
