"""TSIG by dnspython, for tests/tsig.rs: one JSON object a line in, one out."""

import json
import sys

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rrset
import dns.tsig


def key(ask):
    return dns.tsig.Key(ask["key"], bytes.fromhex(ask["secret"]), ask["algorithm"])


def ask_signed(ask):
    """A signed request, and its MAC."""
    message = dns.message.make_query("example.com.", "AXFR", use_edns=ask["edns"])
    message.use_tsig(key(ask))
    wire = message.to_wire()
    return {"wire": wire.hex(), "mac": message.mac.hex()}


def read_request(ask):
    """Whether a request is signed as it should be."""
    message = dns.message.from_wire(bytes.fromhex(ask["wire"]), keyring=key(ask))
    return {"signed": message.had_tsig, "mac": message.mac.hex()}


def read_answers(ask):
    """Whether the messages of an answer are."""
    context, count = None, 0
    for wire in ask["wires"]:
        message = dns.message.from_wire(
            bytes.fromhex(wire), keyring=key(ask), request_mac=bytes.fromhex(ask["mac"]),
            multi=len(ask["wires"]) > 1, tsig_ctx=context)
        context, count = message.tsig_ctx, count + message.had_tsig
    return {"signed": count}


def answers(ask):
    """The messages of an answer to a request, of which some are left unsigned."""
    query = dns.message.from_wire(bytes.fromhex(ask["wire"]), keyring=key(ask))
    context, wires, several = None, [], ask["count"] > 1
    for number in range(ask["count"]):
        message = dns.message.Message(query.id)
        message.flags = dns.flags.QR | dns.flags.AA
        message.question = list(query.question)
        message.answer.append(dns.rrset.from_text("example.com.", 60, "IN", "TXT", f'"{number}"'))
        if number % ask["every"] == 0 or number == ask["count"] - 1:
            message.use_tsig(key(ask))
            message.request_mac = query.mac
            wires.append(message.to_wire(multi=several, tsig_ctx=context))
            context = message.tsig_ctx
        else:
            wires.append(message.to_wire())
            context.update(wires[-1])
    return {"wires": [wire.hex() for wire in wires]}


for line in sys.stdin:
    ask = json.loads(line)
    try:
        said = globals()[ask["do"]](ask)
    except (dns.exception.DNSException, dns.tsig.BadTime) as error:
        said = {"error": type(error).__name__}
    print(json.dumps(said), flush=True)
