import CompressionCore
import MatrixCore
import Safetensors

/// Names and shapes of the tensors of a group: what planning counts, the operator writes, and a loader reads.
///
/// A matrix: `<m>.tucker.out` [out, r₁], `<m>.tucker.core` [r₁, r₂], `<m>.tucker.in` [r₂, in].
///
/// A stack: `lowrank.tucker.<id>.core` with one axis a mode, and `lowrank.tucker.<id>.factor.<axis>` [length, rank] for
/// every mode that is compressed, each once for the whole group. Axes are members, out, in for experts and layers;
/// hidden, heads, head_dim, projections for attention (without the last for a single projection).
///
/// With pivots, a factor is the identity in r of its rows: the others are stored as [length − r, r] under its name, the
/// positions of the pivots as `.pivot.index` [r] behind it.
struct TuckerStorage {
    let layout: TuckerLayout
    let ranks: TuckerRanks
    /// Module name of the first member.
    let group: String

    /// A tensor of the layout; `mode` is nil for the core.
    struct Part {
        let name: String
        let shape: [Int]
        let mode: TuckerMode?
        var isIndex = false
    }

    var scope: OperatorTensor.Scope { layout.kind == .matrix ? .module : .checkpoint }

    var parts: [Part] {
        if layout.kind == .matrix {
            let core = Part(name: "tucker.core", shape: [ranks.rows, ranks.columns], mode: nil)
            return factor("tucker.out", .rows) + [core] + factor("tucker.in", .columns)
        }
        let factors = layout.axes.filter { layout.hasFactor($0, ranks) }.flatMap { mode in
            factor("lowrank.tucker.\(group).factor.\(axis(of: mode))", mode)
        }
        return [Part(name: "lowrank.tucker.\(group).core", shape: coreShape, mode: nil)] + factors
    }

    private func factor(_ name: String, _ mode: TuckerMode) -> [Part] {
        let shape = [layout.factorRows(mode, ranks), ranks[mode]]
        if layout.storage == .pivot {
            let index = Part(name: "\(name).pivot.index", shape: [ranks[mode]], mode: mode, isIndex: true)
            return [Part(name: name, shape: shape, mode: mode), index]
        }
        let isStoredWide = layout.kind == .matrix && mode == .columns
        return [Part(name: name, shape: isStoredWide ? shape.reversed() : shape, mode: mode)]
    }

    /// Position of a mode among the axes of the core; heads are an axis too.
    func axis(of mode: TuckerMode) -> Int {
        switch (layout.kind, mode) {
        case (.heads, .columns): 0
        case (.heads, .rows): 2
        case (.heads, .members): 3
        case (.matrix, .rows): 0
        case (.matrix, _): 1
        case (.stack, _): mode.rawValue
        }
    }

    private var coreShape: [Int] {
        switch layout.kind {
        case .matrix: [ranks.rows, ranks.columns]
        case .stack: [ranks.members, ranks.rows, ranks.columns]
        case .heads:
            [ranks.columns, layout.heads, ranks.rows] + (layout.members == 1 ? [] : [ranks.members])
        }
    }

    /// The entry of a member in config.json.
    func entry(member: Int) -> JSONObject {
        var entry: JSONObject = ["ranks": JSON(layout.stated(ranks))]
        if layout.storage == .pivot { entry["pivot"] = true }
        if layout.kind == .matrix { return entry }
        entry["group"] = JSON(group)
        entry["slice"] = JSON(member)
        let whole = layout.axes.filter { !layout.hasFactor($0, ranks) }.map { axis(of: $0) }
        if !whole.isEmpty { entry["whole"] = JSON(whole.sorted()) }
        if layout.kind == .heads {
            entry["heads"] = JSON(layout.heads)
            entry["axis"] = JSON(layout.transposed[member] ? "inputs" : "outputs")
        }
        return entry
    }

    /// What planning knows of a member.
    /// - Parameter alternative: the form it takes where that one suits the weights better.
    func planned(member: Int, type: ElementType, alternative: TuckerStorage?) -> PlannedSize {
        PlannedSize(
            schema: TuckerOperator.schema, entry: entry(member: member), macs: layout.macs(ranks),
            tensors: planned(type), alternative: alternative?.planned(type))
    }

    private func planned(_ type: ElementType) -> [PlannedTensor] {
        parts.map {
            PlannedTensor(
                $0.name, $0.isIndex ? .i32 : TensorDType(type), $0.shape, scope: scope, isIndex: $0.isIndex)
        }
    }
}
