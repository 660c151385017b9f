import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

/** Reads every archive named, as a stream and by its directory, and prints each entry: how, archive, name in hex, CRC-32. */
public class ReadZips {
    public static void main(String[] paths) throws Exception {
        for (String path : paths) {
            byStream(path);
            byDirectory(path);
        }
    }

    private static void byStream(String path) throws Exception {
        try (ZipInputStream zip = new ZipInputStream(Files.newInputStream(Path.of(path)))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                print("stream", path, entry, zip);
            }
        }
    }

    private static void byDirectory(String path) throws Exception {
        try (ZipFile zip = new ZipFile(path)) {
            for (Enumeration<? extends ZipEntry> entries = zip.entries(); entries.hasMoreElements();) {
                ZipEntry entry = entries.nextElement();
                try (InputStream content = zip.getInputStream(entry)) {
                    print("directory", path, entry, content);
                }
            }
        }
    }

    private static void print(String how, String path, ZipEntry entry, InputStream content) throws Exception {
        CRC32 crc = new CRC32();
        crc.update(content.readAllBytes());
        StringBuilder name = new StringBuilder();
        for (byte letter : entry.getName().getBytes(StandardCharsets.UTF_8)) {
            name.append(String.format("%02x", letter));
        }
        System.out.println(how + " " + path + " " + name + " " + crc.getValue());
    }
}
