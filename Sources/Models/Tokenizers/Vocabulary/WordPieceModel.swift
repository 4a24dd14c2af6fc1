/// WordPiece: a word becomes the longest token it starts with, then the longest continuation ("##ing"), and so on; a
/// word that cannot be used up that way, or is too long, is the unknown token.
///
/// - Cost: quadratic in the length of a word, which is bounded; a word seen before is a look-up.
/// - Source: Devlin et al., arXiv 1810.04805, and the code published with it.
struct WordPieceModel: Sendable {
    var table: TokenTable
    var unknownToken: Int32
    /// Written before every token that continues a word.
    var continuingPrefix: [UInt8]
    /// In Unicode scalars.
    var longestWord: Int

    func encode(_ word: UTF8Bytes, cache: inout WordCache, into output: inout [Int32]) {
        if cache.lookUp(word, appendingTo: &output) { return }
        let first = output.count
        if !appendPieces(of: word, to: &output) {
            output.removeSubrange(first...)
            output.append(unknownToken)
        }
        cache.remember(word, tokens: output[first...])
    }

    /// False where a part of the word is in no token.
    private func appendPieces(of word: UTF8Bytes, to output: inout [Int32]) -> Bool {
        var ends: [Int] = []
        UTF8Scan.forEachScalar(in: word) { _, range in ends.append(range.upperBound) }
        guard ends.count <= longestWord else { return false }
        var start = 0
        while start < word.count {
            guard
                let (token, end) = ends.lazy.reversed().prefix(while: { $0 > start })
                    .compactMap({ end in piece(word, start..<end).map { ($0, end) } }).first
            else { return false }
            output.append(token)
            start = end
        }
        return true
    }

    private func piece(_ word: UTF8Bytes, _ range: Range<Int>) -> Int32? {
        let bytes = UTF8Scan.slice(word, range)
        return range.lowerBound == 0 ? table.id(of: bytes) : table.id(of: continuingPrefix + bytes)
    }
}
