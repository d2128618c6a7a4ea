"""Which bytes and which file names speak for which MIME type: data only.

Names are those registered with IANA where there is one, else the ones of `file` and shared-mime-info.
A type with a function in `dam_fs.mime` is only a claim: the function confirms, refines or refuses it.
"""

from __future__ import annotations

__all__ = [
    "AFTER_ID3",
    "ASF_STREAMS",
    "BRANDS",
    "FORM_TYPES",
    "INTERPRETERS",
    "MARKUP_ROOTS",
    "NAME_REFINES",
    "OLE_STREAMS",
    "OOXML_PARTS",
    "RAW_MAKES",
    "RAW_NAMES",
    "RIFF_TYPES",
    "SIGNATURES",
    "TEXT_NAMES",
    "TEXT_STARTS",
    "ZIP_ENTRIES",
]

SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    # Pictures
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\xff\xd8\xff\xf7", "image/jls"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"II+\0", "image/tiff"),
    (0, b"MM\0+", "image/tiff"),
    (0, b"II*\0\x10\0\0\0CR", "image/x-canon-cr2"),
    (0, b"II\x1a\0\0\0HEAPCCDR", "image/x-canon-crw"),
    (0, b"IIRO", "image/x-olympus-orf"),
    (0, b"IIRS", "image/x-olympus-orf"),
    (0, b"MMOR", "image/x-olympus-orf"),
    (0, b"IIU\0", "image/x-panasonic-rw2"),
    (0, b"FUJIFILMCCD-RAW ", "image/x-fuji-raf"),
    (0, b"\0MRM", "image/x-minolta-mrw"),
    (0, b"FOVb", "image/x-sigma-x3f"),
    (0, b"II\xbc\x01", "image/jxr"),
    (0, b"8BPS\0\x01", "image/vnd.adobe.photoshop"),
    (0, b"8BPS\0\x02", "image/vnd.adobe.photoshop"),
    (0, b"\0\0\x01\0", "image/vnd.microsoft.icon"),
    (0, b"\0\0\x02\0", "image/x-win-bitmap"),
    (0, b"icns", "image/x-icns"),
    *((0, b"P%d" % digit, "image/x-portable-anymap") for digit in range(1, 8)),
    (0, b"qoif", "image/x-qoi"),
    (0, b"\x76\x2f\x31\x01", "image/x-exr"),
    (0, b"#?RADIANCE\n", "image/vnd.radiance"),
    (0, b"#?RGBE\n", "image/vnd.radiance"),
    (0, b"DDS \x7c\0\0\0", "image/x-dds"),
    (0, b"gimp xcf ", "image/x-xcf"),
    (0, b"SIMPLE  =", "image/fits"),
    (0, b"\xff\x4f\xff\x51", "image/j2c"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (0, b"\xabKTX 11\xbb\r\n\x1a\n", "image/ktx"),
    (0, b"\xabKTX 20\xbb\r\n\x1a\n", "image/ktx2"),
    (0, b"AT&TFORM", "image/vnd.djvu"),
    (0, b"BPG\xfb", "image/bpg"),
    (0, b"\x8aMNG\r\n\x1a\n", "video/x-mng"),
    (0, b"\x8bJNG\r\n\x1a\n", "image/x-jng"),
    (0, b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (40, b" EMF", "image/emf"),
    (0, b"\x59\xa6\x6a\x95", "image/x-sun-raster"),
    (0, b"\x01\xda", "image/x-sgi"),
    (0, b"\x0a", "image/vnd.zbrush.pcx"),
    (0, b"DanM", "image/x-msp"),
    (0, b"LinS", "image/x-msp"),
    (0, b"SDPX", "image/x-dpx"),
    (0, b"XPDS", "image/x-dpx"),
    (0, b"BLP1", "image/x-blp"),
    (0, b"BLP2", "image/x-blp"),
    (0, b"\xb1\x68\xde\x3a", "image/x-dcx"),
    (0, b"FTEX", "image/x-ftex"),
    (20, b"GIMP", "image/x-gimp-gbr"),
    (0, b"Image type: ", "image/x-ifunc"),
    (0, b"\0\0\0\0\0\0\0\4", "image/x-mcidas-area"),
    (2048, b"PCD_", "image/x-photo-cd"),
    (0, b"\x80\xe8\0\0", "image/x-pixar"),
    (0, b"P7 332", "image/x-xv-thumbnail"),
    (0, b"\x28\0\0\0", "image/bmp"),  # without its file header, as in resources of programs
    *((0, b"P" + letter, "image/x-portable-floatmap") for letter in (b"f", b"F", b"H")),
    (4, b"\0\0\0\7", "image/x-xwindowdump"),
    (128, b"DICM", "application/dicom"),
    (36, b"acsp", "application/vnd.iccprofile"),
    # Films
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01", "application/mxf"),
    (0, b"nut/multimedia container\0", "video/x-nut"),
    *((0, b"BIK" + letter, "video/vnd.radgamettools.bink") for letter in (b"b", b"f", b"g", b"h", b"i")),
    *(
        (0, b"KB2" + letter, "video/vnd.radgamettools.bink")
        for letter in (b"a", b"d", b"f", b"g", b"h", b"i", b"j", b"k")
    ),
    (0, b"SMK2", "video/vnd.radgamettools.smacker"),
    (0, b"SMK4", "video/vnd.radgamettools.smacker"),
    (0, b"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d", "video/x-wtv"),
    (0, b"NSVf\0", "video/x-nsv"),
    (0, b"\x1f\x07\x00\x3f", "video/dv"),
    (0, b"\x1f\x07\x00\xbf", "video/dv"),
    (0, b"BBCD\0\0\0\0", "video/x-dirac"),
    (0, b"\x84\x10\xff\xff\xff\xff", "video/x-roq"),
    # Sound
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff", "audio/mpeg"),
    (0, b"ADIF", "audio/aac"),
    (0, b"\x0b\x77", "audio/ac3"),
    (0, b"\x7f\xfe\x80\x01", "audio/vnd.dts"),
    (0, b"\xfe\x7f\x01\x80", "audio/vnd.dts"),
    (4, b"\xf8\x72\x6f\xba", "audio/vnd.dolby.mlp"),
    (0, b"fLaC", "audio/flac"),
    (0, b"wvpk", "audio/x-wavpack"),
    (0, b"MAC ", "audio/x-ape"),
    (0, b"MP+", "audio/x-musepack"),
    (0, b"MPCK", "audio/x-musepack"),
    (0, b"TTA1", "audio/x-tta"),
    (0, b"tBaK", "audio/x-tak"),
    (0, b"DSD \x1c\0\0\0", "audio/x-dsf"),
    (0, b"FRM8", "audio/x-dff"),
    (0, b"MThd", "audio/midi"),
    (0, b"#!AMR\n", "audio/amr"),
    (0, b"#!AMR-WB\n", "audio/amr-wb"),
    (0, b".snd", "audio/basic"),
    (0, b"caff", "audio/x-caf"),
    (0, b"RF64", "audio/wav"),
    (0, b"BW64", "audio/wav"),
    (0, b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "audio/x-w64"),
    (0, b".ra\xfd", "audio/vnd.rn-realaudio"),
    (0, b"Extended Module: ", "audio/x-xm"),
    (0, b"IMPM", "audio/x-it"),
    (0, b"PSID\0", "audio/prs.sid"),
    (0, b"RSID\0", "audio/prs.sid"),
    (44, b"SCRM", "audio/x-s3m"),
    *((1080, magic, "audio/x-mod") for magic in (b"M.K.", b"M!K!", b"FLT4", b"4CHN", b"6CHN", b"8CHN")),
    # Pictures that move, and containers that hold them
    (4, b"ftyp", "video/mp4"),
    *((4, atom, "video/quicktime") for atom in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")),
    (0, b"\x1a\x45\xdf\xa3", "video/x-matroska"),
    (0, b"OggS\0", "application/ogg"),
    (0, b"RIFF", "application/x-riff"),
    (0, b"FORM", "application/x-iff"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c", "video/x-ms-asf"),
    (0, b"\0\0\x01\xba", "video/mpeg"),
    (0, b"\0\0\x01\xb3", "video/mpeg"),
    (0, b"\0\0\x01\xb0", "video/mp4v-es"),
    (0, b"\0\0\0\x01\x67", "video/h264"),
    (0, b"\0\0\0\x01\x40\x01", "video/h265"),
    (0, b"\x47", "video/mp2t"),
    (4, b"\x47", "video/mp2t"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"DKIF\0\0", "video/x-ivf"),
    (0, b".RMF\0\0\0", "application/vnd.rn-realmedia"),
    (0, b"YUV4MPEG2 ", "video/x-yuv4mpeg"),
    (4, b"\x11\xaf", "video/x-fli"),
    (4, b"\x12\xaf", "video/x-flc"),
    *((0, magic, "application/vnd.adobe.flash.movie") for magic in (b"FWS", b"CWS", b"ZWS")),
    # Archives and compressed files
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06\0\0", "application/zip"),
    (0, b"PK\x07\x08PK\x03\x04", "application/zip"),
    (0, b"PK00PK\x03\x04", "application/zip"),
    (0, b"Rar!\x1a\x07\0", "application/vnd.rar"),
    (0, b"Rar!\x1a\x07\x01\0", "application/vnd.rar"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"\x1f\x9d", "application/x-compress"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x5d\0\0", "application/x-lzma"),
    (0, b"LZIP\x01", "application/x-lzip"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"\x04\x22\x4d\x18", "application/x-lz4"),
    (0, b"\x02\x21\x4c\x18", "application/x-lz4"),
    (0, b"\xff\x06\0\0sNaPpY", "application/x-snappy-framed"),
    (0, b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (0, b"!<arch>\ndebian", "application/vnd.debian.binary-package"),
    (0, b"!<arch>\n", "application/x-archive"),
    (0, b"\xed\xab\xee\xdb", "application/x-rpm"),
    (0, b"xar!\0", "application/x-xar"),
    (0, b"hsqs", "application/vnd.squashfs"),
    (0, b"070701", "application/x-cpio"),
    (0, b"070702", "application/x-cpio"),
    (0, b"070707", "application/x-cpio"),
    *((2, b"-lh%c-" % level, "application/x-lha") for level in b"01234567d"),
    (7, b"**ACE**", "application/x-ace"),
    # Disc images, consoles
    (32769, b"CD001", "application/x-iso9660-image"),
    (37633, b"CD001", "application/x-iso9660-image"),  # the same sector in a raw dump of 2352-byte sectors, mode 1
    (37657, b"CD001", "application/x-iso9660-image"),  # ... and mode 2, form 1
    (0, b"CISO", "application/x-cso"),
    (0, b"ZISO", "application/x-zso"),
    (0, b"MComprHD", "application/x-mame-chd"),
    (0, b"\0PSF", "application/x-sfo"),
    (0, b"\0PBP", "application/x-pbp"),
    (0, b"NES\x1a", "application/x-nes-rom"),
    # Documents
    (0, b"%PDF-", "application/pdf"),
    (0, b"%!PS", "application/postscript"),
    (0, b"\xc5\xd0\xd3\xc6", "image/x-eps"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (60, b"BOOKMOBI", "application/x-mobipocket-ebook"),
    (0, b"ITSF\x03\0\0\0", "application/vnd.ms-htmlhelp"),
    (0, b"!BDN", "application/vnd.ms-outlook"),
    (0, b"BLENDER-v", "application/x-blender"),
    (0, b"BLENDER_v", "application/x-blender"),
    (0, b"glTF", "model/gltf-binary"),
    # Fonts
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"\0\x01\0\0", "font/ttf"),
    (0, b"true\0", "font/ttf"),
    (0, b"OTTO\0", "font/otf"),
    (0, b"ttcf\0", "font/collection"),
    # Programs and data
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    *(
        (0, magic, "application/x-mach-binary")
        for magic in (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
    ),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"\0asm\x01\0\0\0", "application/wasm"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"\0\x01\0\0Standard Jet DB", "application/x-msaccess"),
    (0, b"\0\x01\0\0Standard ACE DB", "application/x-msaccess"),
    (0, b"\x89HDF\r\n\x1a\n", "application/x-hdf"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"\x93NUMPY", "application/x-npy"),
    (0, b"d8:announce", "application/x-bittorrent"),
)

# The major brand of ISO/IEC 14496-12 `ftyp`; registered at mp4ra.org. What is not here is video/mp4.
BRANDS: dict[bytes, str] = {
    b"avif": "image/avif",
    b"avis": "image/avif",  # the AVIF specification dropped image/avif-sequence
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "image/heic"),
    **dict.fromkeys((b"hevc", b"hevx", b"hevm", b"hevs"), "image/heic-sequence"),
    b"mif1": "image/heif",
    b"mif2": "image/heif",
    b"msf1": "image/heif-sequence",
    b"crx ": "image/x-canon-cr3",
    b"jp2 ": "image/jp2",
    b"jpx ": "image/jpx",
    b"jpm ": "image/jpm",
    b"mjp2": "video/mj2",
    b"jxl ": "image/jxl",
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "), "audio/mp4"),
    b"qt  ": "video/quicktime",
    **dict.fromkeys((b"3g2a", b"3g2b", b"3g2c", b"kddi", b"KDDI"), "video/3gpp2"),
    **{b"3g%c%c" % (profile, release): "video/3gpp" for profile in b"eghprst" for release in b"123456789"},
}

RIFF_TYPES: dict[bytes, str] = {
    b"WEBP": "image/webp",
    b"WAVE": "audio/wav",
    b"AVI ": "video/x-msvideo",
    b"RMID": "audio/midi",
    b"sfbk": "audio/x-sfbk",
    b"QLCM": "audio/vnd.qcelp",
    b"ACON": "application/x-navi-animation",
    b"CDXA": "video/mpeg",
}

FORM_TYPES: dict[bytes, str] = {
    b"AIFF": "audio/aiff",
    b"AIFC": "audio/aiff",
    b"8SVX": "audio/x-8svx",
    b"ILBM": "image/x-ilbm",
    b"PBM ": "image/x-ilbm",
    b"ANIM": "video/x-anim",
}

# Stream type GUIDs of the ASF specification, 10.1, as stored. A film has sound too, so video is asked first.
ASF_STREAMS: tuple[tuple[bytes, str], ...] = (
    (bytes.fromhex("C0EF19BC4D5BCF11A8FD00805F5C442B"), "video/x-ms-wmv"),
    (bytes.fromhex("409E69F84D5BCF11A8FD00805F5C442B"), "audio/x-ms-wma"),
)

AFTER_ID3: tuple[tuple[bytes, str], ...] = (
    (b"fLaC", "audio/flac"),
    (b"MAC ", "audio/x-ape"),
    (b"wvpk", "audio/x-wavpack"),
    (b"TTA1", "audio/x-tta"),
    (b"MP+", "audio/x-musepack"),
    (b"MPCK", "audio/x-musepack"),
    (b"tBaK", "audio/x-tak"),
)

# How a name in an OPC package starts (ECMA-376).
OOXML_PARTS: tuple[tuple[bytes, str], ...] = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)

# How a name in a zip file starts that only one format has.
ZIP_ENTRIES: tuple[tuple[bytes, str], ...] = (
    (b"AndroidManifest.xml", "application/vnd.android.package-archive"),
    (b"doc.kml", "application/vnd.google-earth.kmz"),
    (b"3D/3dmodel.model", "model/3mf"),
    (b"META-INF/MANIFEST.MF", "application/java-archive"),  # last: a signed Android package has it too
)

# Names of streams in a compound file (MS-CFB 2.6.1), which stores them in UTF-16.
OLE_STREAMS: tuple[tuple[bytes, str], ...] = tuple(
    (name.encode("utf-16-le"), kind)
    for name, kind in (
        ("WordDocument", "application/msword"),
        ("Workbook", "application/vnd.ms-excel"),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("__properties_version1.0", "application/vnd.ms-outlook"),
    )
)

# Cameras whose raw file has a reduced picture with SubIFDs as its first directory.
RAW_MAKES: tuple[tuple[bytes, str], ...] = (
    (b"NIKON", "image/x-nikon-nef"),
    (b"SONY", "image/x-sony-arw"),
    (b"SAMSUNG", "image/x-samsung-srw"),
)

# For a TIFF that says which camera made it.
RAW_NAMES: dict[str, str] = {
    "3fr": "image/x-hasselblad-3fr",
    "arw": "image/x-sony-arw",
    "cr2": "image/x-canon-cr2",
    "dcr": "image/x-kodak-dcr",
    "erf": "image/x-epson-erf",
    "iiq": "image/x-phaseone-iiq",
    "kdc": "image/x-kodak-kdc",
    "mef": "image/x-mamiya-mef",
    "nef": "image/x-nikon-nef",
    "nrw": "image/x-nikon-nrw",
    "pef": "image/x-pentax-pef",
    "sr2": "image/x-sony-sr2",
    "srf": "image/x-sony-srf",
    "srw": "image/x-samsung-srw",
}

# What the name may add to what the content said.
NAME_REFINES: dict[str, dict[str, str]] = {
    "application/zip": {"cbz": "application/vnd.comicbook+zip"},
    "application/vnd.rar": {"cbr": "application/vnd.comicbook-rar"},
    "application/x-7z-compressed": {"cb7": "application/x-cb7"},
    "application/x-tar": {"cbt": "application/x-cbt"},
    "application/ogg": {"oga": "audio/ogg", "ogg": "audio/ogg", "opus": "audio/ogg", "ogv": "video/ogg"},
    "application/x-ole-storage": {
        "doc": "application/msword",
        "xls": "application/vnd.ms-excel",
        "ppt": "application/vnd.ms-powerpoint",
        "msg": "application/vnd.ms-outlook",
        "msi": "application/x-msi",
    },
    "video/x-ms-asf": {"wma": "audio/x-ms-wma", "wmv": "video/x-ms-wmv"},
}

TEXT_NAMES: dict[str, str] = {
    "ass": "text/x-ssa",
    "bib": "application/x-bibtex",
    "c": "text/x-c",
    "cpp": "text/x-c++",
    "css": "text/css",
    "csv": "text/csv",
    "cue": "application/x-cue",
    "eml": "message/rfc822",
    "geojson": "application/geo+json",
    "gltf": "model/gltf+json",
    "h": "text/x-c",
    "htm": "text/html",
    "html": "text/html",
    "ics": "text/calendar",
    "java": "text/x-java",
    "js": "text/javascript",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "markdown": "text/markdown",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "mtl": "model/mtl",
    "ndjson": "application/x-ndjson",
    "obj": "model/obj",
    "py": "text/x-python",
    "rs": "text/rust",
    "rst": "text/x-rst",
    "sh": "text/x-shellscript",
    "sql": "application/sql",
    "srt": "application/x-subrip",
    "ssa": "text/x-ssa",
    "stl": "model/stl",
    "tex": "text/x-tex",
    "toml": "application/toml",
    "tsv": "text/tab-separated-values",
    "vcf": "text/vcard",
    "vtt": "text/vtt",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}

TEXT_STARTS: tuple[tuple[str, str], ...] = (
    ("#EXTM3U", "application/vnd.apple.mpegurl"),  # not audio/x-mpegurl: it holds names, no sound
    ("#VRML V", "model/vrml"),
    ("/* XPM */", "image/x-xpixmap"),
    ("<?php", "text/x-php"),
    ("<?xpacket begin=", "application/rdf+xml"),  # XMP specification, part 3
    ("BEGIN:VCALENDAR", "text/calendar"),
    ("BEGIN:VCARD", "text/vcard"),
    ("Delivered-To: ", "message/rfc822"),
    ("ISO-10303-21;", "model/step"),
    ("Received: from ", "message/rfc822"),
    ("Return-Path: <", "message/rfc822"),
    ("WEBVTT", "text/vtt"),
    ("[Script Info]", "text/x-ssa"),
)

# By the local name of the first element, in lower case.
MARKUP_ROOTS: dict[str, str] = {
    "svg": "image/svg+xml",
    **dict.fromkeys(("html", "head", "body", "title", "meta", "script", "style"), "text/html"),
    "xmpmeta": "application/rdf+xml",
    "rdf": "application/rdf+xml",
    "rss": "application/rss+xml",
    "feed": "application/atom+xml",
    "gpx": "application/gpx+xml",
    "kml": "application/vnd.google-earth.kml+xml",
    "math": "application/mathml+xml",
    "collada": "model/vnd.collada+xml",
    "plist": "application/x-plist",
    "playlist": "application/xspf+xml",
    "fictionbook": "application/x-fictionbook+xml",
}

INTERPRETERS: dict[str, str] = {
    **dict.fromkeys(("sh", "bash", "dash", "ksh", "zsh", "fish", "csh", "tcsh"), "text/x-shellscript"),
    "python": "text/x-python",
    "perl": "text/x-perl",
    "ruby": "text/x-ruby",
    "lua": "text/x-lua",
    "php": "text/x-php",
    "node": "text/javascript",
    "awk": "text/x-awk",
}
