import CompressionCore

/// How the matrices of a group stand in one tensor T (members × heads × rows × columns).
///
/// - a matrix: 1 × 1 × out × in;
/// - a stack (experts, layers): members × 1 × out × in;
/// - attention projections: members × heads × head_dim × hidden. Query, key and value stand there as they are stored,
///   the output projection transposed, so that its hidden side lies beside theirs.
///
/// Three modes can be compressed: members, rows and columns; heads never are.
struct TuckerLayout: Equatable, Sendable {
    enum Kind: Sendable, Equatable { case matrix, stack, heads }

    let kind: Kind
    let members: Int
    let heads: Int
    let rows: Int
    let columns: Int
    /// Whether a member stands transposed, by member.
    let transposed: [Bool]
    /// The mode that faces the hidden states, as far as it is known: the inputs, but for attention outputs.
    let hiddenMode: TuckerMode
    /// Whether factors are stored by the rows that are no pivots.
    var storage = MethodSettings.Storage.factors

    /// The layout of tensors that were read.
    init(kind: Kind, heads: Int, rows: Int, columns: Int, transposed: [Bool]) {
        self.kind = kind
        members = transposed.count
        self.heads = heads
        self.rows = rows
        self.columns = columns
        self.transposed = transposed
        hiddenMode = .columns
    }

    /// - Parameter byHeads: whether attention projections are viewed head by head.
    /// - Throws: `CompressionError.impossible` where the members do not fit into one tensor.
    init(_ group: [GroupMember], byHeads: Bool) throws(CompressionError) {
        precondition(!group.isEmpty, "a group has members")
        let split = byHeads ? group[0].heads : nil
        kind = split != nil ? .heads : group.count > 1 ? .stack : .matrix
        members = group.count
        heads = split?.count ?? 1
        transposed = group.map { split != nil && $0.heads?.axis == .inputs }
        hiddenMode = split == nil && group[0].heads?.axis == .inputs ? .rows : .columns
        let sides = zip(group, transposed).map { member, isTransposed in
            isTransposed ? (member.inFeatures, member.outFeatures) : (member.outFeatures, member.inFeatures)
        }
        rows = sides[0].0 / heads
        columns = sides[0].1
        for (member, side) in zip(group, sides) {
            guard side == (rows * heads, columns), split == nil || member.heads?.count == heads else {
                throw .impossible(
                    module: member.module,
                    reason: "\(member.outFeatures)×\(member.inFeatures) does not fit into one tensor with "
                        + group[0].module)
            }
        }
    }

    /// Length of the axis of a mode.
    func size(of mode: TuckerMode) -> Int {
        switch mode {
        case .members: members
        case .rows: rows
        case .columns: columns
        }
    }

    /// What a mode of the stack stands for.
    func name(of mode: TuckerMode) -> String {
        switch mode {
        case .members: kind == .heads ? "projections" : "members"
        case .rows: kind == .heads ? "head dimension" : "outputs"
        case .columns: kind == .heads ? "hidden side" : "inputs"
        }
    }

    /// Numbers in T.
    var count: Int { members * heads * rows * columns }

    /// The modes in the order of the axes of the stored core.
    var axes: [TuckerMode] {
        switch kind {
        case .matrix: [.rows, .columns]
        case .stack: [.members, .rows, .columns]
        case .heads: members == 1 ? [.columns, .rows] : [.columns, .rows, .members]
        }
    }
}

/// A mode of a stack that can be compressed.
enum TuckerMode: Int, Sendable, CaseIterable {
    case members, rows, columns
}

/// One rank a mode. A mode whose rank is its length is kept whole: it has no factor.
typealias TuckerRanks = PerMode<Int>

/// Something for each mode.
struct PerMode<Value> {
    var members: Value
    var rows: Value
    var columns: Value

    subscript(mode: TuckerMode) -> Value {
        get {
            switch mode {
            case .members: members
            case .rows: rows
            case .columns: columns
            }
        }
        set {
            switch mode {
            case .members: members = newValue
            case .rows: rows = newValue
            case .columns: columns = newValue
            }
        }
    }
}

extension PerMode: Equatable where Value: Equatable {}
extension PerMode: Sendable where Value: Sendable {}

extension TuckerLayout {
    var full: TuckerRanks { TuckerRanks(members: members, rows: rows, columns: columns) }

    /// Whether a mode has a factor. Those of a matrix always have one: its layout is fixed.
    func hasFactor(_ mode: TuckerMode, _ ranks: TuckerRanks) -> Bool {
        kind == .matrix ? mode != .members : ranks[mode] < size(of: mode)
    }

    func coreCount(_ ranks: TuckerRanks) -> Int { ranks.members * heads * ranks.rows * ranks.columns }

    /// Numbers stored for the whole group.
    func parameters(_ ranks: TuckerRanks) -> Int {
        TuckerMode.allCases.reduce(coreCount(ranks)) { total, mode in
            total + (hasFactor(mode, ranks) ? factorRows(mode, ranks) * ranks[mode] : 0)
        }
    }

    /// Rows of a factor that are stored: of a pivot factor, the identity among them is not.
    func factorRows(_ mode: TuckerMode, _ ranks: TuckerRanks) -> Int {
        size(of: mode) - (storage == .pivot ? ranks[mode] : 0)
    }

    /// Whether the form is smaller than the weights; the position of a pivot counts as two numbers, which is its size
    /// in the smallest type.
    func saves(_ ranks: TuckerRanks) -> Bool {
        let factors = TuckerMode.allCases.filter { hasFactor($0, ranks) }
        if storage == .factors { return parameters(ranks) < count }
        return factors.allSatisfy { ranks[$0] < size(of: $0) }
            && parameters(ranks) + factors.reduce(0) { $0 + 2 * ranks[$1] } < count
    }

    /// Multiply-adds per token of one member: factor of the columns, core of the member, factor of the rows.
    func macs(_ ranks: TuckerRanks) -> Int {
        (hasFactor(.columns, ranks) ? columns * ranks.columns : 0) + heads * ranks.rows * ranks.columns
            + (hasFactor(.rows, ranks) ? heads * rows * ranks.rows : 0)
    }

    /// The largest rank of a mode that the other ranks leave room for; one that is kept whole needs none.
    func bond(_ mode: TuckerMode, _ ranks: TuckerRanks) -> Int {
        if kind != .matrix, ranks[mode] == size(of: mode) { return size(of: mode) }
        return min(size(of: mode), coreCount(ranks) / ranks[mode])
    }

    /// Each rank lowered to what the others leave room for.
    func clamped(_ ranks: TuckerRanks) -> TuckerRanks {
        var result = ranks
        for _ in 0..<2 {
            for mode in TuckerMode.allCases { result[mode] = min(result[mode], bond(mode, result)) }
        }
        return result
    }

    /// The ranks that a list in the order of the stored axes names; nil where it has another number of them.
    func ranks(_ stated: [Int]) -> TuckerRanks? {
        guard stated.count == axes.count else { return nil }
        var ranks = TuckerRanks(members: 1, rows: 1, columns: 1)
        for (mode, rank) in zip(axes, stated) { ranks[mode] = rank }
        return ranks
    }

    func stated(_ ranks: TuckerRanks) -> [Int] { axes.map { ranks[$0] } }
}
