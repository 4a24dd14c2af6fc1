/// Byte-pair encoding: a word starts as its characters, and the pair of neighbours with the earliest rule is merged
/// until no rule applies. Of equal pairs the leftmost goes first.
///
/// Characters are bytes where the vocabulary is byte-level, else Unicode scalars; one that is not in the vocabulary
/// becomes its bytes (`<0x0A>`, byte fallback) or the unknown token, or is dropped where there is neither.
///
/// - Cost: a word seen before is a look-up. Short words merge by scanning (quadratic, but in registers), long ones by a
///   heap over a linked list: n log n time and about 30 bytes of memory for each of n characters.
/// - Source: Sennrich et al., arXiv 1508.07909, §3.2; order of rules and handling of unknown characters as in the
///   `tokenizers` library.
struct BytePairModel: Sendable {
    var table: TokenTable
    var merges: MergeTable
    /// Tokens of the 256 bytes, where the vocabulary is byte-level; −1 for one it does not have.
    var byteTokens: [Int32]?
    /// Tokens `<0x00>`…`<0xFF>`, where byte fallback is on; −1 for one the vocabulary does not have.
    var fallbackTokens: [Int32]?
    var unknownToken: Int32?
    /// Neighbouring unknown characters become one unknown token.
    var fusesUnknown = false
    /// A word that is a token is that token, whatever the rules say.
    var ignoresMerges = false
    /// The space of SentencePiece, where a word can be cut before it: see `BytePairModel.cut(_:into:)`.
    var boundary: UInt32?

    /// Up to here scanning beats the heap.
    private static let longestScan = 48

    /// Appends the tokens of `word`, a piece of text that the pre-tokenizer does not divide.
    func encode(_ word: UTF8Bytes, cache: inout WordCache, into output: inout [Int32]) {
        if let boundary {
            cut(word, before: boundary) { encodeUncut($0, cache: &cache, into: &output) }
        } else {
            encodeUncut(word, cache: &cache, into: &output)
        }
    }

    private func encodeUncut(_ word: UTF8Bytes, cache: inout WordCache, into output: inout [Int32]) {
        if cache.lookUp(word, appendingTo: &output) { return }
        let first = output.count
        if ignoresMerges, let id = wholeWord(word) {
            output.append(id)
        } else {
            appendCharacters(of: word, to: &output)
            if output.count - first <= Self.longestScan {
                mergeByScanning(&output, from: first)
            } else {
                var list = MergeList(Array(output[first...]), rules: merges)
                output.removeSubrange(first...)
                list.mergeAll(rules: merges, into: &output)
            }
        }
        cache.remember(word, tokens: output[first...])
    }

    private func wholeWord(_ word: UTF8Bytes) -> Int32? {
        byteTokens == nil ? table.id(of: word) : table.id(of: ByteAlphabet.encode(word))
    }

    // MARK: - Characters

    private func appendCharacters(of word: UTF8Bytes, to output: inout [Int32]) {
        if let byteTokens {
            appendBytes(of: word, tokens: byteTokens, to: &output)
        } else {
            appendScalars(of: word, to: &output)
        }
    }

    private func appendBytes(of word: UTF8Bytes, tokens: [Int32], to output: inout [Int32]) {
        var pending = false
        for byte in word {
            let token = tokens[Int(byte)]
            if token >= 0 {
                flushUnknown(&pending, to: &output)
                output.append(token)
            } else {
                appendUnknown(&pending, to: &output)
            }
        }
        flushUnknown(&pending, to: &output)
    }

    private func appendScalars(of word: UTF8Bytes, to output: inout [Int32]) {
        var pending = false
        UTF8Scan.forEachScalar(in: word) { _, range in
            if let token = table.id(of: UTF8Scan.slice(word, range)) {
                flushUnknown(&pending, to: &output)
                output.append(token)
            } else if let fallbackTokens, range.allSatisfy({ fallbackTokens[Int(word[$0])] >= 0 }) {
                for index in range { output.append(fallbackTokens[Int(word[index])]) }
            } else {
                appendUnknown(&pending, to: &output)
            }
        }
        flushUnknown(&pending, to: &output)
    }

    /// One more unknown character. It is written when the next known one comes, so that neighbours can be fused.
    private func appendUnknown(_ pending: inout Bool, to output: inout [Int32]) {
        guard let unknownToken else { return }
        if pending, !fusesUnknown { output.append(unknownToken) }
        pending = true
    }

    private func flushUnknown(_ pending: inout Bool, to output: inout [Int32]) {
        if pending, let unknownToken { output.append(unknownToken) }
        pending = false
    }

    // MARK: - Merging

    /// Merges the tokens from `first` on, looking at all pairs again after each merge.
    private func mergeByScanning(_ tokens: inout [Int32], from first: Int) {
        var count = tokens.count - first
        guard count > 1 else { return }
        withUnsafeTemporaryAllocation(of: MergeTable.Merge.self, capacity: count) { pairs in
            tokens.withUnsafeMutableBufferPointer { tokens in
                let ids = UnsafeMutableBufferPointer(rebasing: tokens[first...])
                for index in 0..<count - 1 { pairs[index] = merges.merge(ids[index], ids[index + 1]) }
                while count > 1 {
                    var best = 0
                    for index in 1..<max(1, count - 1) where pairs[index].rank < pairs[best].rank { best = index }
                    guard pairs[best].rank != MergeTable.noRank else { break }
                    ids[best] = pairs[best].id
                    count -= 1
                    for index in best + 1..<max(best + 1, count) { ids[index] = ids[index + 1] }
                    for index in best + 1..<max(best + 1, count - 1) { pairs[index] = pairs[index + 1] }
                    if best < count - 1 { pairs[best] = merges.merge(ids[best], ids[best + 1]) }
                    if best > 0 { pairs[best - 1] = merges.merge(ids[best - 1], ids[best]) }
                }
            }
        }
        tokens.removeSubrange((first + count)...)
    }

    // MARK: - Cutting

    /// Calls `body` with the parts of `word` that no merge can join: a part begins at a `boundary` that follows
    /// something else.
    ///
    /// SentencePiece vocabularies have no pre-tokenizer, so that the "word" is the whole text. But their tokens hold
    /// the space mark "▁" at the front only, hence no rule ever joins a character to a mark behind it, and cutting
    /// there changes nothing. Whether that holds for this vocabulary is decided by `canCut`.
    private func cut(_ word: UTF8Bytes, before boundary: UInt32, _ body: (UTF8Bytes) -> Void) {
        var start = 0
        var previous = boundary
        UTF8Scan.forEachScalar(in: word) { scalar, range in
            if scalar == boundary, previous != boundary {
                body(UTF8Scan.slice(word, start..<range.lowerBound))
                start = range.lowerBound
            }
            previous = scalar
        }
        if start < word.count { body(UTF8Scan.slice(word, start..<word.count)) }
    }

    /// Whether no token holds `boundary` behind another character.
    ///
    /// Not where unknown characters are dropped, as that makes neighbours of two marks; nor where the mark is unknown
    /// itself, as it could be fused with an unknown neighbour.
    func canCut(before boundary: UInt32) -> Bool {
        var mark: [UInt8] = []
        UTF8Scan.append(boundary, to: &mark)
        guard !ignoresMerges, unknownToken != nil, table.id(of: mark) != nil else { return false }
        var holds = true
        table.forEach { token, _ in
            var previous = boundary
            token.withUnsafeBufferPointer { text in
                UTF8Scan.forEachScalar(in: text) { scalar, _ in
                    if scalar == boundary, previous != boundary { holds = false }
                    previous = scalar
                }
            }
        }
        return holds
    }
}
