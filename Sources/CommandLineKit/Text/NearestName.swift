/// What was probably meant by a name that does not exist.
public enum NearestName {
    /// The candidate closest to `name`, if it is close enough to be a slip or `name` is the start of it alone.
    ///
    /// Close enough is one edit for each three letters, at least one. Ties go to the candidate listed first.
    public static func suggestion(for name: String, among candidates: [String]) -> String? {
        let ranked = candidates.map { (candidate: $0, distance: distance(name, $0)) }
        if let best = ranked.min(by: { $0.distance < $1.distance }), best.distance <= max(1, name.count / 3) {
            return best.candidate
        }
        let longer = candidates.filter { name.count >= 2 && $0.hasPrefix(name) }
        return longer.count == 1 ? longer.first : nil
    }

    /// Edits (insert, delete, replace, swap neighbours) that turn one text into the other.
    ///
    /// - Cost: O(a · b) time, three rows of memory.
    /// - Source: optimal string alignment, after Damerau, "A technique for computer detection and correction of
    ///   spelling errors", CACM 1964.
    static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a), b = Array(b)
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var best = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
                if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
                row.append(best)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
