"""A shop of three steps: `POST /cart` makes a cart and sets a cookie, `POST /pay/CART` takes as
long as the first argument says and is for who has that cookie and the cart's code, once; `GET
/receipt` is for the bearer of what paying gave. `POST /cart?nothing` gives no cart, `POST
/cart?late` one that nobody can pay for. A form's login (`GET /form`, `POST /enter`, `POST
/token`) wants the cookie and the token of the step before. `GET /seen` tells what was asked, in
order, with numbers of carts. With a certificate and its key as further arguments it speaks TLS.
Prints "ready PORT".
"""

import asyncio
import json
import re
import ssl
import sys

PAYING = float(sys.argv[1])  # seconds
CARTS = {}
SEEN = []


def cookie(head, name):
    match = re.search(rf"(?i)\r\ncookie: [^\r]*\b{name}=([^;\r]*)", head)
    return match[1] if match else ""


def cart(query):
    number = len(CARTS) + 1
    SEEN.append(["cart", number])
    CARTS[f"c{number}"] = "made"
    if query == "nothing":
        return 200, "", {"busy": True}
    code = "wrong" if query == "late" else f"code-{number}"
    return (
        200,
        f"Set-Cookie: mine=c{number}; Path=/; HttpOnly\r\n",
        {
            "cart": {"id": f"c{number}", "n": number},
            "code": code,
        },
    )


def pay(name, head, body):
    number = int(name.removeprefix("c"))
    SEEN.append(["pay", number])
    asked = json.loads(body)
    if (
        CARTS.get(name) != "made"
        or cookie(head, "mine") != name
        or asked["code"] != f"code-{number}"
    ):
        return 409, "", {"refused": name}
    CARTS[name] = "paid"
    return 200, f"X-Receipt: r-{number}\r\n", {}


def receipt(head):
    match = re.search(r"(?i)\r\nauthorization: bearer r-(\d+)", head)
    number = int(match[1]) if match else 0
    SEEN.append(["receipt", number])
    paid = CARTS.get(f"c{number}") == "paid" and cookie(head, "mine") == f"c{number}"
    return (200 if paid else 404), "", {}


def login(path, head, body):
    if path == "/form":
        return 200, "Set-Cookie: form=f-1; Path=/\r\n", {"csrf": "s&1"}
    if path == "/enter":
        good = "csrf=s%261" in body and cookie(head, "form") == "f-1"
        return (302 if good else 403), "Set-Cookie: form=f-2; Path=/\r\nLocation: /\r\n", {}
    user = json.loads(body)["user"] if cookie(head, "form") == "f-2" else ""
    return (200 if user else 403), "", {"token": f"r-{user}"}


async def answer(method, path, head, body):
    """(status, headers, body)."""
    route, _, query = path.partition("?")
    if route == "/cart":
        return cart(query)
    if route.startswith("/pay/"):
        told = pay(route.removeprefix("/pay/"), head, body)
        await asyncio.sleep(PAYING)
        return told
    if route == "/receipt":
        return receipt(head)
    if route in ("/form", "/enter", "/token"):
        return login(route, head, body)
    if route == "/mine":
        told = re.search(r"(?i)\r\nauthorization: bearer (\S+)", head)
        return (200 if told and told[1] in ("r-ann", "r-bob") else 401), "", {}
    if route == "/away":
        return 302, "Location: http://127.0.0.2:9/stolen\r\n", {}
    return 200, "", SEEN


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)content-length: (\d+)", head)
            body = (await reader.readexactly(int(length[1]))).decode() if length else ""
            method, path, _ = head.split(" ", 2)
            status, headers, told = await answer(method, path, head, body)
            text = json.dumps(told)
            headers += f"Content-Length: {len(text)}\r\n"
            writer.write(f"HTTP/1.1 {status} Told\r\n{headers}\r\n{text}".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if sys.argv[2:] else None
    if tls is not None:
        tls.load_cert_chain(*sys.argv[2:])
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000, ssl=tls)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
