/// Why a tokenizer cannot be read.
public enum TokenizerError: Error, Equatable, Sendable {
    /// The folder holds none of the files a tokenizer is read from.
    case notFound(folder: String)
    /// A file is missing, not readable or not JSON; `reason` is the full sentence, with place.
    case unreadable(reason: String)
    /// A kind of component, or one of its settings, that this program does not have.
    /// `component` is a place such as "pre_tokenizer.pretokenizers[0]".
    case unsupported(component: String, name: String)
    /// The file breaks its own rules at `place`.
    case malformed(place: String, problem: String)
}

extension TokenizerError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notFound(let folder):
            "\(folder) has no tokenizer: neither tokenizer.json, nor vocab.json with merges.txt, nor vocab.txt"
        case .unreadable(let reason):
            reason
        case .unsupported(let component, let name):
            "tokenizer: \(component): \(name) is not supported"
        case .malformed(let place, let problem):
            "tokenizer: \(place): \(problem)"
        }
    }
}
