"""Run by the interpreter of a target: makes objects of every kind that matters, and prints where
they are.

Not imported by perfhunt: its text is handed to another Python (3.11 or later), isolated from site
packages and user code, which then waits on its standard input while its memory is read.
"""

import asyncio
import ctypes
import gc
import json
import sys
import threading
import weakref

facts: dict = {"version": list(sys.version_info[:3]), "modules": id(sys.modules)}
kept: list = []
gate, told = threading.Lock(), threading.Event()


class Case:
    """Its method has a qualified name that differs from its name."""

    def method(self):
        return self


def outer(a):
    b, c = a, 2
    middle(b)
    return c


def middle(a):
    inner()
    return a


def inner():
    inmost = sys._getframe()
    frames = [inmost, inmost.f_back, inmost.f_back.f_back]
    kept.extend(frames)
    facts["frames"] = [[id(f), id(f.f_code), f.f_lasti] for f in frames]
    facts["threads"] = [[threading.get_ident(), threading.get_native_id()]]
    told.set()
    gate.acquire()


def newest():
    facts["threads"].append([threading.get_ident(), threading.get_native_id()])
    told.set()
    gate.acquire()


async def leaf(future):
    local = 1
    await future
    return local


async def caller(*args):
    return args


async def holder(future):
    one, two = 1, 2
    return caller(one, two, await leaf(future))


async def source(future):
    await future
    yield 1


async def consumer(items):
    async for _ in items:
        pass


def describe_code(code):
    return {
        "at": id(code),
        "name": id(code.co_qualname),
        "file": id(code.co_filename),
        "first_line": code.co_firstlineno,
        "table": id(code.co_linetable),
        "table_hex": code.co_linetable.hex(),
    }


def describe_values():
    # Of every kind many, made in several ways: what differs among them does not tell the kind.
    text = [letter * n for letter in ("a", "\xe4", "\u0105", "\U0001f600") for n in range(2, 40)]
    text += [sys.intern(word + "!") for word in text] + [f"made {word}" for word in text]
    dicts = [{f"k{i}": str(i) for i in range(n)} for n in (5, 300)]
    members = {object() for _ in range(20)}
    target = threading.current_thread()
    reference = weakref.ref(target)
    kept.extend([text, dicts, members, reference])
    facts["strings"] = [[id(s), s] for s in text]
    facts["dicts"] = [[id(d), len(d), [[id(k), id(v)] for k, v in d.items()]] for d in dicts]
    facts["module_dicts"] = [[id(m), id(m.__dict__)] for m in (sys, asyncio)]
    facts["set"] = [id(members), len(members), [id(o) for o in members]]
    facts["weakref"] = [id(reference), id(target)]
    codes = [f.__code__ for f in (outer, middle, inner, holder, Case.method)]
    facts["codes"] = [describe_code(code) for code in codes]


async def describe_tasks():
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(4)]
    items = source(futures[3])
    coroutines = [holder(futures[0]), holder(futures[1]), leaf(futures[2]), consumer(items)]
    tasks = [loop.create_task(coroutine) for coroutine in coroutines]
    await asyncio.sleep(0)
    done, gone = loop.create_future(), loop.create_future()
    done.set_result(1)
    gone.cancel()
    awaited = [coroutine.cr_await for coroutine in coroutines]
    kept.extend([futures, items, coroutines, tasks, done, gone, awaited])
    facts["tasks"] = [
        [id(t), id(c), id(f)] for t, c, f in zip(tasks, coroutines, futures, strict=True)
    ]
    facts["futures"] = [[id(f) for f in futures], id(done), id(gone)]
    facts["coroutines"] = [
        [id(c), id(c.cr_code), id(a), c.cr_code.co_nlocals]
        for c, a in zip(coroutines, awaited, strict=True)
    ]
    facts["send"] = [id(awaited[3]), id(items)]
    wrapped = leaf(done)
    wrapper = wrapped.__await__()
    called = loop.create_future()
    called.add_done_callback(newest)
    gathered = asyncio.gather(loop.create_future(), loop.create_future())
    kept.extend([wrapped, wrapper, called, gathered])
    facts["wrapper"] = [id(wrapper), id(wrapped)]
    facts["callback"] = [id(called), id(newest)]
    facts["functions"] = [[id(f), id(f.__qualname__)] for f in (Case.method, newest)]
    children = gathered._children
    held = next(each for each in gc.get_referents(gathered) if isinstance(each, dict))
    facts["gathered_dict"] = [id(gathered), id(held)]
    facts["attribute"] = [id(held), list(held).index("_children"), id(children)]
    facts["list"] = [id(children), [id(child) for child in children]]
    name = "_all_tasks"
    if not isinstance(getattr(asyncio.tasks, name, None), weakref.WeakSet):
        name = "_scheduled_tasks"
    every = getattr(asyncio.tasks, name)
    facts["weakset"] = [name, id(every), id(every.data)]
    generator = (n for n in range(1))
    types = {"code": outer.__code__, "coroutine": coroutines[0], "generator": generator}
    types |= {"async_generator": items, "send": awaited[3], "wrapper": wrapper}
    types |= {"function": newest}
    facts["types"] = {name: id(type(o)) for name, o in types.items()}
    facts["task_names"] = {"task": type(tasks[0]).__name__, "gathered": type(gathered).__name__}
    facts["type_names"] = [[id(type(o)), type(o).__name__] for o in types.values()]


async def describe():
    describe_values()
    await describe_tasks()
    print(json.dumps(facts), flush=True)
    sys.stdin.read()


def main():
    gate.acquire()
    for work, arguments in ((outer, (1,)), (newest, ())):
        threading.Thread(target=work, args=arguments, daemon=True).start()
        told.wait()
        told.clear()
    symbol = ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime")
    facts["runtime"] = ctypes.addressof(symbol)
    facts["threads"].append([threading.get_ident(), threading.get_native_id()])
    asyncio.run(describe())


main()
