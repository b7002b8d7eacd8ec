"""Judges one signed PDF with pyHanko: pyhanko_check.py PROFILE ROOT.pem FILE.

Prints one line and ends with 0 when every signature holds at the profile that is claimed. At the long-term profiles
nothing but the file's own document security store answers for revocation, and an answer is required.
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

profile, root, name = sys.argv[1:]
roots = list(load_certs_from_pemder([root]))
long_term = profile in ("pades-b-lt", "pades-b-lta")

with open(name, "rb") as file:
    reader = PdfFileReader(file)

    def context():
        how = {"trust_roots": roots, "allow_fetching": False}
        if not long_term:
            return ValidationContext(**how)
        how["revocation_mode"] = "hard-fail"
        return DocumentSecurityStore.read_dss(reader).as_validation_context(how)

    signatures = reader.embedded_regular_signatures
    if not signatures:
        sys.exit("no signature found")
    for signature in signatures:
        status = validate_pdf_signature(signature, context(), ts_validation_context=context())
        if not status.bottom_line:
            sys.exit(status.pretty_print_details())
        stamp = status.timestamp_validity
        if profile not in ("adbe", "pades-b-b") and (stamp is None or not stamp.trusted):
            sys.exit("no trusted time stamp")
        form = str(signature.sig_object.get("/SubFilter"))
        if (profile == "adbe") != (form == "/adbe.pkcs7.detached"):
            sys.exit("form " + form)
    stamps = reader.embedded_timestamp_signatures
    if profile == "pades-b-lta" and not stamps:
        sys.exit("no document time stamp")
    for stamp in stamps:
        status = validate_pdf_timestamp(stamp, ValidationContext(trust_roots=roots, allow_fetching=False))
        if not (status.intact and status.valid and status.trusted):
            sys.exit(status.summary())
print("holds:", profile, len(signatures), len(stamps))
