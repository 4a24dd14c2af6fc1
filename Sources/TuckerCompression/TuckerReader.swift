import CompressionCore
import MatrixCore
import Safetensors

/// Reads a member back: its entry says the form of its group, the tensors must have exactly the shapes of that form.
struct TuckerReader {
    let member: Int
    let storage: TuckerStorage
    /// In the order of `storage.parts`.
    let parts: [StoredTensor]

    init(_ source: OperatorSource) throws(OperatorError) {
        if source.entry["group"] == nil {
            (storage, member) = (try Self.matrix(source), 0)
        } else {
            (storage, member) = try Self.group(source)
        }
        var parts: [StoredTensor] = []
        for part in storage.parts {
            if part.isIndex, let mode = part.mode {
                _ = try source.ascendingPositions(
                    part.name, count: part.shape[0], below: storage.layout.size(of: mode), scope: storage.scope)
                parts.append(try source.tensor(part.name, scope: storage.scope))
            } else {
                parts.append(try source.numbers(part.name, shape: part.shape, scope: storage.scope))
            }
        }
        self.parts = parts
    }

    private static func matrix(_ source: OperatorSource) throws(OperatorError) -> TuckerStorage {
        let ranks = try source.integers("ranks")
        guard ranks.count == 2 else {
            throw .badEntry(module: source.module, key: "ranks", expected: "two ranks of a matrix")
        }
        let storage = try storage(source)
        var rows = try source.numbers("tucker.out", shape: [nil, ranks[0]]).shape[0]
        var columns: Int
        if storage == .pivot {
            rows += ranks[0]
            columns = try source.numbers("tucker.in", shape: [nil, ranks[1]]).shape[0] + ranks[1]
        } else {
            columns = try source.numbers("tucker.in", shape: [ranks[1], nil]).shape[1]
        }
        var layout = TuckerLayout(kind: .matrix, heads: 1, rows: rows, columns: columns, transposed: [false])
        layout.storage = storage
        return TuckerStorage(
            layout: layout, ranks: TuckerRanks(members: 1, rows: ranks[0], columns: ranks[1]), group: source.module)
    }

    private static func group(_ source: OperatorSource) throws(OperatorError) -> (TuckerStorage, Int) {
        let group = try source.word("group")
        let ranks = try source.integers("ranks")
        let storage = try storage(source)
        let whole = source.entry["whole"] == nil ? [] : try axes(source)
        guard let slice = source.entry["slice"]?.int, slice >= 0 else {
            throw .badEntry(module: source.module, key: "slice", expected: "a whole number from 0")
        }
        let isByHeads = source.entry["heads"] != nil
        let heads = isByHeads ? try source.integer("heads") : 1
        guard ranks.count == 3 || isByHeads && ranks.count == 2 else {
            throw .badEntry(module: source.module, key: "ranks", expected: "one rank for each compressed axis")
        }
        /// Length of an axis of the core: its rank where it is kept whole, else that of its factor.
        func length(_ axis: Int, _ rank: Int) throws(OperatorError) -> Int {
            if whole.contains(axis) { return rank }
            let name = "lowrank.tucker.\(group).factor.\(axis)"
            let stored = try source.numbers(name, shape: [nil, rank], scope: .checkpoint).shape[0]
            let length = stored + (storage == .pivot ? rank : 0)
            guard rank < length else {
                throw .badEntry(module: source.module, key: "ranks", expected: "ranks below the lengths of the axes")
            }
            return length
        }
        let members: Int, rows: Int, columns: Int, values: TuckerRanks
        if isByHeads {
            columns = try length(0, ranks[0])
            rows = try length(2, ranks[1])
            members = ranks.count == 2 ? 1 : try length(3, ranks[2])
            values = TuckerRanks(members: ranks.count == 2 ? 1 : ranks[2], rows: ranks[1], columns: ranks[0])
        } else {
            members = try length(0, ranks[0])
            rows = try length(1, ranks[1])
            columns = try length(2, ranks[2])
            values = TuckerRanks(members: ranks[0], rows: ranks[1], columns: ranks[2])
        }
        guard slice < members else {
            throw .badEntry(module: source.module, key: "slice", expected: "a member below \(members)")
        }
        var transposed = [Bool](repeating: false, count: members)
        transposed[slice] = isByHeads ? try isInputs(source) : false
        var layout = TuckerLayout(
            kind: isByHeads ? .heads : .stack, heads: heads, rows: rows, columns: columns, transposed: transposed)
        layout.storage = storage
        return (TuckerStorage(layout: layout, ranks: values, group: group), slice)
    }

    private static func storage(_ source: OperatorSource) throws(OperatorError) -> MethodSettings.Storage {
        guard let stated = source.entry["pivot"] else { return .factors }
        guard stated == true else { throw .badEntry(module: source.module, key: "pivot", expected: "true, or nothing") }
        return .pivot
    }

    private static func isInputs(_ source: OperatorSource) throws(OperatorError) -> Bool {
        switch try source.word("axis") {
        case "inputs": return true
        case "outputs": return false
        default: throw .badEntry(module: source.module, key: "axis", expected: "\"inputs\" or \"outputs\"")
        }
    }

    private static func axes(_ source: OperatorSource) throws(OperatorError) -> [Int] {
        let stated = source.entry["whole"]?.array ?? []
        let axes = stated.compactMap(\.int)
        guard !axes.isEmpty, axes.count == stated.count, Set(axes).count == axes.count,
            axes.allSatisfy({ (0...3).contains($0) })
        else {
            throw .badEntry(module: source.module, key: "whole", expected: "a list of axes of the core")
        }
        return axes
    }
}
