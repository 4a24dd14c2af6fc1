/// Why a page cannot be made.
public enum ReportingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The document is neither a report nor a sweep of a version that is known.
    case unknownDocument(String)
    /// A member of the document is missing or of another kind.
    case missing(String)

    public var description: String {
        switch self {
        case .unknownDocument(let found):
            "expected report_version 1 or sweep_version 1, found \(found); give a report.json or sweep.json"
        case .missing(let member): "the document has no usable \"\(member)\""
        }
    }
}
