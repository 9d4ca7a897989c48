"""The columns and the number of rows of a Parquet file, by its footer alone.

Sources: apache/parquet-format, README ("File format") and src/main/thrift/parquet.thrift; apache/thrift,
doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contract import held_out_bytes
from contract.held_out import HeldOutError

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
# The footer's length and the magic number, which stand at the end.
_END = 8
# One request gets most footers whole; of a longer one the beginning is read, where the columns are.
_TAIL, MAXIMUM_BYTES = 1 << 16, 1 << 20
# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_SCHEMA, _ROWS = 2, 3  # of FileMetaData
_NAME, _CHILDREN = 4, 5  # of SchemaElement
_DEEPEST = 32


@dataclass(frozen=True)
class Footer:
    """`columns` in their order; `nested` are those that hold lists, maps or structs."""

    columns: tuple[str, ...]
    nested: tuple[str, ...]
    rows: int


def read(name: str, size: int, part: Callable[[int, int], bytes]) -> Footer | None:
    """A file's footer; None where it is longer than Plan reads.

    Args:
        part: (from which byte, how many) -> these bytes of the file.

    Raises:
        HeldOutError: it is no Parquet, cut off, or encrypted.
    """
    tail = part(max(0, size - _TAIL), min(size, _TAIL)) if size else b""
    if not tail.endswith(MAGIC) or len(tail) <= _END:
        head = part(0, held_out_bytes.ENOUGH) if size > _TAIL else tail
        raise HeldOutError(f"{name} {_no_parquet(head, tail)}")
    length = int.from_bytes(tail[-_END : -len(MAGIC)], "little")
    if length + _END > size:
        raise HeldOutError(f"{name} is damaged: its footer would be longer than the file; write it again")
    cut = length > MAXIMUM_BYTES
    if length + _END <= len(tail):
        content = tail[-_END - length : -_END]
    else:
        content = part(size - _END - length, min(length, MAXIMUM_BYTES))
    try:
        return parse(content)
    except (ValueError, IndexError) as error:
        if cut and isinstance(error, IndexError):
            return None
        raise HeldOutError(f"{name} is damaged: its footer can't be read; write it again") from error


def _no_parquet(head: bytes, tail: bytes) -> str:
    """Why a file is none that can be read, by its first bytes and its last ones."""
    if tail.endswith(ENCRYPTED):
        return "is encrypted Parquet, which the evaluation has no key for; write it unencrypted"
    if head.startswith(MAGIC):
        return "is cut off: it begins as Parquet but doesn't end so; upload it again"
    if not head:
        return "is empty; no Parquet file is"
    seeming = held_out_bytes.seeming(head)
    told = f"{seeming.what}; {seeming.remedy}" if seeming else f"{_beginning(head)}; is it CSV? Its name tells the kind"
    return f"is no Parquet but, by its first bytes, {told}"


def _beginning(head: bytes) -> str:
    return repr(head[:40].decode("utf-8", "replace").splitlines()[0])


def parse(content: bytes) -> Footer:
    """A footer's FileMetaData, as far as the number of rows.

    Raises:
        IndexError: it ends too early.
        ValueError: it isn't one.
    """
    reader = _Compact(content)
    elements: list[tuple[str, int]] = []
    for field, type_ in reader.fields():
        if field == _SCHEMA and type_ == _LIST:
            elements = [_element(reader) for _ in range(reader.size_of_list())]
        elif field == _ROWS:
            return _footer(elements, reader.integer())
        else:
            reader.skip(type_)
    raise ValueError("no number of rows")


def _element(reader: _Compact) -> tuple[str, int]:
    """A SchemaElement's name and how many children it has."""
    name, children = "", 0
    for field, type_ in reader.fields():
        if field == _NAME and type_ == _BINARY:
            name = reader.binary().decode()
        elif field == _CHILDREN:
            children = reader.integer()
        else:
            reader.skip(type_)
    return name, children


def _footer(elements: list[tuple[str, int]], rows: int) -> Footer:
    """The schema is a tree, in the order of a walk through it; its root's children are the columns."""
    columns: list[str] = []
    nested: list[str] = []
    at = 1
    while at < len(elements):
        name, children = elements[at]
        columns.append(name)
        nested += [name] if children else []
        at, left = at + 1, children
        while left:
            left += elements[at][1] - 1
            at += 1
    if not elements or len(columns) != elements[0][1]:
        raise ValueError("no schema")
    return Footer(tuple(columns), tuple(nested), rows)


class _Compact:
    """Thrift's compact protocol, as much as a footer needs. Reading past the end raises IndexError."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at, self._depth = content, 0, 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """(id, type) of a struct's fields; whoever asks for the next one has read this one's value."""
        field = 0
        while header := self._byte():
            delta, type_ = header >> 4, header & 0x0F
            field = field + delta if delta else self.integer()
            yield field, type_

    def integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def binary(self) -> bytes:
        return self._take(self._varint())

    def size_of_list(self) -> int:
        return self._list()[0]

    def skip(self, type_: int) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("too deep")
        self._skip(type_)
        self._depth -= 1

    def _skip(self, type_: int) -> None:
        if type_ in (_LIST, _SET):
            size, of = self._list()
            for _ in range(size):
                self._skip_element(of)
        elif type_ == _MAP:
            self._skip_map()
        elif type_ == _STRUCT:
            for _, of in self.fields():
                self.skip(of)
        elif type_ in (_BYTE, _DOUBLE, _BINARY):
            self._take({_BYTE: 1, _DOUBLE: 8}.get(type_) or self._varint())
        elif type_ not in (_TRUE, _FALSE):
            self._varint()

    def _skip_map(self) -> None:
        size = self._varint()
        types = self._byte() if size else 0
        for _ in range(size):
            self._skip_element(types >> 4)
            self._skip_element(types & 0x0F)

    def _skip_element(self, type_: int) -> None:
        """In lists and maps a truth value is a byte; in structs it is its field's type."""
        self.skip(_BYTE if type_ in (_TRUE, _FALSE) else type_)

    def _list(self) -> tuple[int, int]:
        """A list's size, which follows where it doesn't fit into four bits, and its elements' type."""
        header = self._byte()
        size = header >> 4
        return (self._varint() if size == 15 else size), header & 0x0F

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return number

    def _byte(self) -> int:
        byte = self._content[self._at]
        self._at += 1
        return byte

    def _take(self, size: int) -> bytes:
        taken = self._content[self._at : self._at + size]
        if len(taken) < size:
            raise IndexError("the end")
        self._at += size
        return taken
