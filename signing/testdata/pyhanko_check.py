"""Judges signed PDFs with pyHanko: pyhanko_check.py ROOT.pem PROFILE FILE [PROFILE FILE]...

Prints a line for each file, "holds: ..." when every signature holds at the profile that is claimed, and ends with 0 when
all do. At the long-term profiles nothing but the file's own document security store answers for revocation, and an
answer is required.
"""
import sys

from pyhanko.keys import load_certs_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import (
    DocumentSecurityStore,
    validate_pdf_signature,
    validate_pdf_timestamp,
)
from pyhanko_certvalidator import ValidationContext

roots = list(load_certs_from_pemder([sys.argv[1]]))


class Refused(Exception):
    pass


def judge(profile, file):
    # Strict reading takes no hybrid files at all.
    reader = PdfFileReader(file, strict=b"/XRefStm" not in file.read())

    def context():
        how = {"trust_roots": roots, "allow_fetching": False}
        if profile not in ("pades-b-lt", "pades-b-lta"):
            return ValidationContext(**how)
        how["revocation_mode"] = "hard-fail"
        return DocumentSecurityStore.read_dss(reader).as_validation_context(how)

    signatures = reader.embedded_regular_signatures
    if not signatures:
        raise Refused("no signature found")
    for signature in signatures:
        status = validate_pdf_signature(signature, context(), ts_validation_context=context())
        if not status.bottom_line:
            raise Refused(status.pretty_print_details())
        stamp = status.timestamp_validity
        if profile not in ("adbe", "pades-b-b") and (stamp is None or not stamp.trusted):
            raise Refused("no trusted time stamp")
        form = str(signature.sig_object.get("/SubFilter"))
        if (profile == "adbe") != (form == "/adbe.pkcs7.detached"):
            raise Refused("form " + form)
    stamps = reader.embedded_timestamp_signatures
    if profile == "pades-b-lta" and not stamps:
        raise Refused("no document time stamp")
    for stamp in stamps:
        status = validate_pdf_timestamp(stamp, ValidationContext(trust_roots=roots, allow_fetching=False))
        if not (status.intact and status.valid and status.trusted):
            raise Refused(status.summary())
    return len(signatures), len(stamps)


failed = False
for profile, name in zip(sys.argv[2::2], sys.argv[3::2]):
    try:
        with open(name, "rb") as opened:
            found = judge(profile, opened)
        print("holds:", profile, *found, name)
    except Exception as refusal:
        failed = True
        print("refused:", profile, name, type(refusal).__name__, refusal)
sys.exit(failed)
