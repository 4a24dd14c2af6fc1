/// Which entries the sparse part may have.
public enum SatenPattern: Sendable, Equatable {
    /// Any.
    case topk
    /// `kept` of every `of` neighbours along the inputs, 2:4 for instance.
    case groups(kept: Int, of: Int)

    /// Reads "topk" or "n:m" with n < m; nil for anything else.
    public init?(_ text: String) {
        if text == "topk" {
            self = .topk
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let kept = Int(parts[0]), let size = Int(parts[1]), 0 < kept, kept < size,
            "\(kept):\(size)" == text
        else { return nil }
        self = .groups(kept: kept, of: size)
    }

    public var text: String {
        switch self {
        case .topk: "topk"
        case .groups(let kept, let size): "\(kept):\(size)"
        }
    }

    /// Entries of a matrix (rows × columns); nil where the pattern leaves them open, or does not divide the columns.
    func entries(rows: Int, columns: Int) -> Int? {
        guard case .groups(let kept, let size) = self, columns % size == 0 else { return nil }
        return rows * (columns / size) * kept
    }
}
