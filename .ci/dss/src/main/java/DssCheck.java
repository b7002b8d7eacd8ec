import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.spi.x509.revocation.crl.ExternalResourcesCRLSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.reports.Reports;
import java.io.File;
import java.io.FileInputStream;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;

/**
 * Has EU DSS judge files and prints one JSON object a signature: file, format, indication, subindication, messages.
 * Arguments: --root FILE (DER, trusted, repeatable), --crl FILE (DER, repeatable), then FILE, or SIGNATURE::CONTENT for
 * a detached signature. Nothing is asked over a network.
 */
public final class DssCheck {
    private DssCheck() {
    }

    public static void main(String[] args) throws Exception {
        CommonTrustedCertificateSource roots = new CommonTrustedCertificateSource();
        List<InputStream> lists = new ArrayList<>();
        List<String> files = new ArrayList<>();
        for (int i = 0; i < args.length; i++) {
            if (args[i].equals("--root")) {
                CertificateToken token = DSSUtils.loadCertificate(new File(args[++i]));
                roots.addCertificate(token);
            } else if (args[i].equals("--crl")) {
                lists.add(new FileInputStream(args[++i]));
            } else {
                files.add(args[i]);
            }
        }
        CommonCertificateVerifier verifier = new CommonCertificateVerifier();
        verifier.setTrustedCertSources(roots);
        verifier.setAIASource(null);
        verifier.setOcspSource(null);
        verifier.setCrlSource(new ExternalResourcesCRLSource(lists.toArray(new InputStream[0])));
        for (String file : files) {
            judge(file, verifier);
        }
    }

    private static void judge(String file, CommonCertificateVerifier verifier) {
        String[] parts = file.split("::");
        DSSDocument document = new FileDocument(parts[0]);
        SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(document);
        validator.setCertificateVerifier(verifier);
        if (parts.length > 1) {
            validator.setDetachedContents(List.of(new FileDocument(parts[1])));
        }
        Reports reports = validator.validateDocument();
        SimpleReport report = reports.getSimpleReport();
        if (report.getSignatureIdList().isEmpty()) {
            print(file, "none", "NO_SIGNATURE_FOUND", "", "");
        }
        for (String id : report.getSignatureIdList()) {
            List<String> said = new ArrayList<>();
            report.getAdESValidationErrors(id).forEach(m -> said.add(m.getValue()));
            report.getAdESValidationWarnings(id).forEach(m -> said.add("(warning) " + m.getValue()));
            print(file, String.valueOf(report.getSignatureFormat(id)), String.valueOf(report.getIndication(id)),
                report.getSubIndication(id) == null ? "" : report.getSubIndication(id).toString(), String.join(" | ", said));
        }
    }

    private static void print(String file, String format, String indication, String sub, String said) {
        System.out.println("{\"file\":" + quote(file) + ",\"format\":" + quote(format) + ",\"indication\":" + quote(indication)
            + ",\"subindication\":" + quote(sub) + ",\"messages\":" + quote(said) + "}");
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\' || c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }
}
