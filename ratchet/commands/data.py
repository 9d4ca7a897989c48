"""`data`: what lies in a pipeline's channels, and putting it there and away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contract import files, held_out
from ratchet.command import Answer, Context, command

if TYPE_CHECKING:
    from rich.console import Group

    from ratchet.spec import PipelineSpec
    from ratchet.spec.data import Channel

Document = dict[str, Any]
PUT, REMOVE = "put", "rm"
# Objects a channel that people are shown.
LISTED = 20


@command("data")
@click.argument("pipeline")
@click.argument("action", required=False, type=click.Choice([PUT, REMOVE]))
@click.argument("names", nargs=-1)
@click.option("--yes", is_flag=True, help="Don't ask before a whole channel is emptied.")
def data(context: Context, pipeline: str, action: str | None, names: tuple[str, ...], yes: bool) -> Answer:
    """Show where PIPELINE's data lies and what is there, by channel; put files there, or remove them.

    \b
    ratchet data churn                            the bucket, each channel's prefix, its objects
    ratchet data churn put jan.csv feb.csv train  files, or folders, into a channel (the last word)
    ratchet data churn rm train/jan.csv           an object; a channel's name means all of it

    The bucket keeps old versions: what is replaced or removed can be brought back with S3's own tools.
    """
    spec = context.spec(context.pipeline(pipeline))
    if action == PUT:
        return _put(context, spec, names)
    if action == REMOVE:
        return _remove(context, spec, names, yes=yes)
    return _list(context, spec)


def _bucket(context: Context) -> str:
    return context.account.shared()["DataBucketName"]


def _objects(context: Context, channel: Channel) -> Iterator[Document]:
    from ratchet import channels

    return channels.of_channel(context.account, channel)


# ------------------------------------------------------------------------------------------------------------- listing


def _list(context: Context, spec: PipelineSpec) -> Answer:
    channels = [
        {"channel": name, "prefix": prefix, "objects": list(_objects(context, prefix))}
        for name, prefix in spec.data.items()
    ]
    models = [{"channel": name, "champion_of": pipeline} for name, pipeline in spec.data.champions.items()]
    more = {"models": models} if models else {}
    document = {"pipeline": spec.name, "bucket": _bucket(context), "channels": channels, **more}
    hint = f"put             {_put_command(context, spec)}"
    return Answer(document, lambda: _listed(document, hint))


def _listed(document: Document, hint: str) -> Group:
    from rich.console import Group
    from rich.markup import escape

    shown = [line for channel in document["channels"] for line in _channel_lines(channel)]
    models = [f"{each['channel']:<15} the champion of {each['champion_of']}" for each in document.get("models", ())]
    return Group(*map(escape, (f"s3://{document['bucket']}", *shown, *models, hint)))


def _channel_lines(channel: Document) -> Iterator[str]:
    found = channel["objects"]
    total = f"{len(found)} objects, {_size(sum(each['bytes'] for each in found))}" if found else "empty"
    held_out = "  (held out: training never sees it)" if channel["channel"] == files.TEST_CHANNEL else ""
    yield f"{channel['channel']:<15} {channel['prefix']}  {total}{held_out}"
    for each in found[:LISTED]:
        yield f"  {_size(each['bytes']):>12}  {each['modified'][:19]}  {each['key'].removeprefix(channel['prefix'])}"
    if len(found) > LISTED:
        yield f"  {'':>12}  and {len(found) - LISTED} more (--json lists all)"


def _size(count: int) -> str:
    """`512 B`, `3.1 KiB`, `2.0 GiB`."""
    size, units = float(count), iter(("KiB", "MiB", "GiB", "TiB"))
    if size < 1024:
        return f"{count} B"
    unit = ""
    while size >= 1024 and (larger := next(units, None)):
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}"


# ------------------------------------------------------------------------------------------------- putting and removing


def _put(context: Context, spec: PipelineSpec, names: tuple[str, ...]) -> Answer:
    """Everything that can be refused is, before the first file goes up."""
    from ratchet.errors import UserError

    if len(names) < 2:
        raise UserError(f"say what goes where: {_put_command(context, spec)}")
    channel = _channel(spec, names[-1], set(names[:-1]))
    prefix = spec.data[channel]
    in_s3 = next((name for name in names if name.startswith("s3://")), None)
    if in_s3:
        target = f"s3://{_bucket(context)}/{prefix}"
        raise UserError(f"{in_s3}: is in S3 already; `aws s3 cp {in_s3} {target}` copies it. Nothing was put")
    sources = dict(_unlike(_sources(names[:-1])))
    if channel == files.TEST_CHANNEL:
        _check_held_out(spec, list(sources))
    keys = {name: _key(channel, prefix, name) for name in sources}
    there = {each["key"] for each in _objects(context, prefix)}
    for name, path in sources.items():
        key = keys[name]
        context.account.client("s3").upload_file(str(path), _bucket(context), key)
        context.say(f"{'replaced' if key in there else 'put':<15} s3://{_bucket(context)}/{key}")
    document = {"bucket": _bucket(context), "put": list(keys.values())}
    return Answer(document, f"next            {_what_follows(context, spec)}")


def _key(name: str, channel: Channel, file: str) -> str:
    from ratchet import channels
    from ratchet.errors import UserError

    try:
        return channels.key(channel, file)
    except ValueError as error:
        raise UserError(f"channel {name} {error}. Nothing was put") from error


def _channel(spec: PipelineSpec, given: str, others: Set[str]) -> str:
    from ratchet.errors import UserError
    from ratchet.spec import nearest

    name = given.rstrip("/")
    if other := spec.data.champions.get(name):
        raise UserError(f"the channel {name} of {spec.name} is the champion of {other}, which its runs bring there")
    if name not in spec.data:
        order = f"; the channel is the last word: {PUT} FILE… CHANNEL" if others & set(spec.data) else ""
        raise UserError(f"{spec.name} has no channel {given!r}{order or nearest(given, list(spec.data))}")
    return name


def _sources(given: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """(name below the prefix, file) of files, and of all files in folders."""
    from ratchet.errors import UserError

    for path in map(Path, given):
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith(".")]
            if not inside:
                raise UserError(f"{path}: has no files")
            yield from ((file.relative_to(path).as_posix(), file) for file in inside)
        elif path.is_file():
            yield path.name, path
        else:
            raise UserError(f"{path}: is no file, and no folder; nothing was put")


def _unlike(sources: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    """The sources, refused where two would become one object."""
    from ratchet.errors import UserError

    seen: dict[str, Path] = {}
    for name, path in sources:
        if name in seen:
            raise UserError(f"{seen[name]} and {path} would both become {name}; rename one. Nothing was put")
        seen[name] = path
        yield name, path


def _check_held_out(spec: PipelineSpec, names: list[str]) -> None:
    """Refuses what Plan would refuse by its name, unless serve.py reads the held-out files itself."""
    from ratchet.errors import UserError

    if spec.reads_held_out_data:
        return
    data = held_out.data_files(names)
    try:
        if data and held_out.format_of(data, spec.evaluate.format) == held_out.IMAGES:
            for name in data:
                held_out.image_class(name)
    except held_out.HeldOutError as error:
        raise UserError(f"{error}. Nothing was put") from error


def _put_command(context: Context, spec: PipelineSpec) -> str:
    return context.account.command(f"data {spec.name} put FILE… CHANNEL")


def _what_follows(context: Context, spec: PipelineSpec) -> str:
    from ratchet import channels
    from ratchet.spec.triggers import at_most

    account = context.account
    trigger, waiting = spec.triggers.data, channels.empty(account, spec.data)
    starts = account.command(f"run {spec.name}") if trigger is None else "a run starts by itself"
    if waiting:
        how = channels.how_to_fill(account, spec.name, waiting)
        return f"{starts}, once there is data in {' and '.join(waiting)}, too: {how}"
    if trigger is None:
        return starts
    quiet = at_most(trigger.quiet, context.environment.quiet_at_most)
    runs = account.command(f"runs {spec.name}")
    return f"{starts} {quiet} s after the last file, where {spec.name} is deployed: {runs}"


def _remove(context: Context, spec: PipelineSpec, names: tuple[str, ...], *, yes: bool) -> Answer:
    from ratchet.errors import UserError

    if not names:
        how = context.account.command(f"data {spec.name} rm CHANNEL/NAME…")
        raise UserError(f"say what goes: {how}, or a channel's name for all of it")
    objects = {name: [each["key"] for each in _objects(context, prefix)] for name, prefix in spec.data.items()}
    # All are looked for before the first is gone.
    keys = list(dict.fromkeys(key for name in names for key in _keys(spec.data, objects, name)))
    whole = [name for name in names if objects.get(name)]
    if whole and not yes:
        question = f"Remove {len(keys)} objects, all of {', '.join(whole)} among them?"
        click.confirm(question, abort=True, err=True)
    for key in keys:
        context.account.client("s3").delete_object(Bucket=_bucket(context), Key=key)
        context.say(f"{'removed':<15} s3://{_bucket(context)}/{key}")
    return Answer({"bucket": _bucket(context), "removed": keys}, "" if keys else "nothing was there to remove")


def _keys(prefixes: Mapping[str, str], objects: Mapping[str, list[str]], name: str) -> list[str]:
    """The keys that a name means: a channel's all, or the one of `CHANNEL/NAME`, or of the key itself."""
    from ratchet.errors import UserError
    from ratchet.spec import nearest

    if name in objects:
        return objects[name]
    named = {
        f"{channel}/{key.removeprefix(prefixes[channel])}": key for channel, keys in objects.items() for key in keys
    }
    key = named.get(name, name)
    if key not in named.values():
        shown = sorted(named)[:LISTED]
        hint = nearest(name, shown) if shown else "; all channels are empty"
        raise UserError(f"nothing was removed: there is no object {name!r}{hint}")
    return [key]
