import Reporting
import Safetensors

/// The forms in which a report lies in an output folder.
enum ReportFiles {
    /// Writes report.json, and beside it the page and the Markdown that are made from it alone.
    static func write(_ report: JSON, to folder: String) throws {
        try AtomicFile.write(report.text(pretty: true), to: folder + "/report.json")
        try AtomicFile.write(try CompressionPage.html(from: report), to: folder + "/report.html")
        try AtomicFile.write(try CompressionMarkdown.text(from: report), to: folder + "/report.md")
    }
}
