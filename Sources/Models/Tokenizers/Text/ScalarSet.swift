/// A set of Unicode scalars: classes, ranges, or everything but these.
///
/// ASCII is looked up in a bitmap, which is what most text needs.
struct ScalarSet: Sendable {
    private(set) var classes: UInt64 = 0
    private(set) var ranges: [ClosedRange<UInt32>] = []
    private(set) var isNegated = false
    private var asciiLow: UInt64 = 0
    private var asciiHigh: UInt64 = 0

    init(classes: UInt64 = 0, ranges: [ClosedRange<UInt32>] = [], isNegated: Bool = false) {
        self.classes = classes
        self.ranges = ranges
        self.isNegated = isNegated
        for scalar in UInt32(0)..<64 where isMember(scalar) { asciiLow |= 1 << UInt64(scalar) }
        for scalar in UInt32(64)..<128 where isMember(scalar) { asciiHigh |= 1 << UInt64(scalar - 64) }
    }

    init(scalar: UInt32) {
        self.init(ranges: [scalar...scalar])
    }

    /// The word characters of Rust's regex library: those of `ScalarClass.rustWord` and the two joiners.
    static let rustWord = ScalarSet(classes: ScalarClass.rustWord, ranges: [0x200C...0x200D])

    var negated: ScalarSet { ScalarSet(classes: classes, ranges: ranges, isNegated: !isNegated) }

    /// The union with a set that is not negated.
    mutating func formUnion(classes more: UInt64 = 0, ranges moreRanges: [ClosedRange<UInt32>] = []) {
        self = ScalarSet(classes: classes | more, ranges: ranges + moreRanges, isNegated: isNegated)
    }

    @inline(__always)
    func contains(ascii byte: UInt8) -> Bool {
        let word = byte < 64 ? asciiLow : asciiHigh
        return word >> UInt64(byte & 63) & 1 != 0
    }

    /// Whether any scalar beyond ASCII can be a member; true where that is not obvious.
    var reachesBeyondASCII: Bool {
        isNegated || classes != 0 || ranges.contains { $0.upperBound >= 0x80 }
    }

    func isMember(_ scalar: UInt32) -> Bool {
        let listed = classes & ScalarClass.mask(of: scalar) != 0 || ranges.contains { $0.contains(scalar) }
        return listed != isNegated
    }

    /// The end of the member that starts at `position`; nil where the text ends or holds something else there.
    @inline(__always)
    func advance(in text: UTF8Bytes, from position: Int) -> Int? {
        guard position < text.count else { return nil }
        let lead = text[position]
        if lead < 0x80 { return contains(ascii: lead) ? position &+ 1 : nil }
        return isMember(UTF8Scan.scalar(in: text, at: position)) ? position &+ UTF8Scan.length(lead: lead) : nil
    }
}
