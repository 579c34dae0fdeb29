"""What may happen to a file."""

JUNK = [
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\r\n\r\n", b'"', b"1e999", b"9" * 5000, b"[" * 50_000, b"nan",
    b"?,?", b"@data\n", b"#", b"%", b"\xed\xa0\x80", b"\x1b[31m", b",,,,", b"::::", b"\t\t", b'{"a":',
    b"\\u0000", "字".encode(),
]  # fmt: skip


def damaged(content, chance):
    """Return a content after one to three accidents."""
    for _ in range(chance.randint(1, 3)):
        at, size = chance.randrange(len(content) + 1), chance.choice([1, 1, 2, 10, 100, 1000])
        match chance.randrange(6):
            case 0:
                content = content[:at]
            case 1:
                content = content[:at] + content[at + size :]
            case 2:
                content = content[:at] + chance.randbytes(size) + content[at:]
            case 3:
                content = content[:at] + chance.choice(JUNK) + content[at:]
            case 4:
                content = content[:at] + content[at : at + size] * 2 + content[at + size :]
            case 5:
                flipped = bytes(byte ^ (1 << chance.randrange(8)) for byte in content[at : at + size])
                content = content[:at] + flipped + content[at + size :]
    return content
