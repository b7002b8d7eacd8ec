"""Times pyHanko's verdict on one signed PDF: pyhanko_time.py ROOT.pem FILE ROUNDS.

Prints the median processor time of a verdict in microseconds: opening the file, which is in memory, and judging its
signatures with the difference analysis that pyHanko does by default. Loading Python and its modules is left out, and
the first round, which fills caches.
"""
import io
import statistics
import sys
import time

from pyhanko.keys import load_certs_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

roots = list(load_certs_from_pemder([sys.argv[1]]))
with open(sys.argv[2], "rb") as file:
    data = file.read()

times = []
for _ in range(int(sys.argv[3]) + 1):
    start = time.process_time()
    reader = PdfFileReader(io.BytesIO(data))
    for signature in reader.embedded_regular_signatures:
        status = validate_pdf_signature(signature, ValidationContext(trust_roots=roots, allow_fetching=False))
        if not status.bottom_line:
            sys.exit(status.pretty_print_details())
    times.append(time.process_time() - start)
print(round(statistics.median(times[1:]) * 1e6))
