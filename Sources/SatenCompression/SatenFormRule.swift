import CompressionCore
import MatrixCore

/// Which form a budget gives a matrix (m × n).
///
/// Of a number of parameters the low-rank part gets a tenth, and the sparse part the rest. On trained weights this is
/// near the best split between a fifth and four fifths of the matrix: their spectra are flat, so a low-rank part soon
/// pays less than single entries do. A density or a pattern n:m fixes the sparse part instead, and the low-rank part
/// gets what is left; where there is no other target, it gets the size that its own options state, or a tenth of the
/// whole again.
///
/// The low-rank part has rank 1 at least, and the sparse part one entry: that is the smallest form.
struct SatenFormRule {
    let pattern: SatenPattern
    /// Share of the entries that the sparse part has; nil leaves it to the budget.
    let density: Double?
    let lowRank: any Compressor
    /// Whether the low-rank part takes its size from its own options.
    let statesLowRankSize: Bool

    static let lowRankShare = 0.1

    /// - Returns: nil where the budget is an accuracy.
    func form(of member: GroupMember, budget: Budget) throws(CompressionError) -> SatenForm? {
        switch budget {
        case .keep(let fraction):
            let numbers = Int((fraction * Double(member.parameters)).rounded(.down))
            return try form(of: member, numbers: min(numbers, largestNumbers(member)))
        case .options:
            let entries = try requiredEntries(member, "a target such as --keep")
            if statesLowRankSize { return try form(of: member, entries, .options) }
            let share = Self.lowRankShare / (1 - Self.lowRankShare)
            return try form(of: member, entries, .keep(share * Double(entries) / Double(member.parameters)))
        case .rank:
            return try form(of: member, try requiredEntries(member, "--keep in place of --rank"), budget)
        case .energy, .error:
            return nil
        }
    }

    /// The form with at most this many numbers, or the smallest one.
    func form(of member: GroupMember, numbers: Int) throws(CompressionError) -> SatenForm {
        let fixed = try fixedEntries(member)
        let lowRankNumbers = fixed.map { Double(numbers - $0) } ?? Self.lowRankShare * Double(numbers)
        let budget = Budget.keep(max(0, lowRankNumbers) / Double(member.parameters))
        if let fixed { return try form(of: member, fixed, budget) }
        let size = try lowRankSize(member, budget)
        let positions = PositionLayout.bitmapBytes(member.outFeatures, member.inFeatures)
        let room = (member.parameters * member.factorType.bytes - 1 - size.bytes - positions) / member.factorType.bytes
        return try form(of: member, max(1, min(numbers - size.largestParameters, room)), budget)
    }

    /// The most numbers whose bytes with a bit map are fewer than those of the matrix.
    func largestNumbers(_ member: GroupMember) -> Int {
        let width = member.factorType.bytes
        let positions = PositionLayout.bitmapBytes(member.outFeatures, member.inFeatures)
        return (member.parameters * width - positions - 1) / width
    }

    /// Entries that density or pattern fix; nil leaves them to the budget.
    private func fixedEntries(_ member: GroupMember) throws(CompressionError) -> Int? {
        if case .groups(_, let size) = pattern {
            guard let entries = pattern.entries(rows: member.outFeatures, columns: member.inFeatures) else {
                throw .impossible(
                    module: member.module,
                    reason: "the pattern \(pattern.text) needs inputs in groups of \(size), the matrix has "
                        + "\(member.inFeatures)")
            }
            return entries
        }
        return density.map { max(1, Int(($0 * Double(member.parameters)).rounded(.down))) }
    }

    private func requiredEntries(_ member: GroupMember, _ other: String) throws(CompressionError) -> Int {
        guard let entries = try fixedEntries(member) else {
            throw .impossible(
                module: member.module, reason: "the sparse part has no size; give --saten-density, or \(other)")
        }
        return entries
    }

    private func form(
        of member: GroupMember, _ entries: Int, _ budget: Budget
    ) throws(CompressionError) -> SatenForm {
        SatenForm(
            member: member, pattern: pattern, lowRank: try lowRankSize(member, budget), lowRankBudget: budget,
            entries: entries)
    }

    private func lowRankSize(_ member: GroupMember, _ budget: Budget) throws(CompressionError) -> PlannedSize {
        guard let size = try lowRank.size(of: [member], budget: budget)?.first else {
            throw .impossible(module: member.module, reason: "the low-rank part has no size for this budget")
        }
        return size
    }
}

extension PlannedSize {
    /// Numbers stored in the larger of its forms.
    var largestParameters: Int {
        max(parameters, alternative.reduce(0) { $0 + ($1.isIndex ? 0 : $1.elementCount) })
    }
}
