import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// A layer as a tensor train: W'[(i₁…i_d), (j₁…j_d)] = G₁[i₁, j₁] · … · G_d[i_d, j_d] with matrices G_k[i, j]
/// (r_(k−1) × r_k).
///
/// Storage is the cores as tensors `tt.0` … `tt.(d−1)` of shape [r, out, in, r']. Multiplication takes whichever of
/// sweeping tokens through the cores, contracting them to a few blocks first, or forming W' a part at a time is the
/// least work for the number of tokens at hand (`TrainRoute`); W' is not kept. `macs` is the count for a single token.
///
/// In pivot storage a core that has more rows ((r out in) × r') than columns leaves out r' of them, which are the
/// identity: `tt.k` is the others, [r out in − r', r'], and `tt.k.pivot.index` has the places of those left out.
/// Multiplication writes such cores out.
public struct TensorTrainOperator: LinearOperator {
    public static let schema = "TTLinear"

    public let modes: TrainModes
    /// r₀ … r_d.
    public let ranks: [Int]
    public let storage: MethodSettings.Storage
    public let tensors: [OperatorTensor]
    let blocks: [TrainBlock]
    public let macs: Int

    /// - Parameter type: what the cores are rounded to.
    public init(_ train: TensorTrain, storedAs type: ElementType) {
        let ranks = train.ranks
        let cores = train.cores.enumerated().map { index, core in
            StoredCore(
                core: StoredTensor(
                    MatrixOperand(core), as: type, shape: train.modes.shape(ofCore: index, ranks: ranks)))
        }
        self.init(modes: train.modes, ranks: ranks, storage: .factors, cores: cores)
    }

    /// - Parameter type: what the numbers are rounded to.
    init(_ train: PivotTrain, storedAs type: ElementType) {
        let cores = train.cores.enumerated().map { index, core in
            switch core {
            case .whole(let numbers):
                StoredCore(
                    core: StoredTensor(
                        MatrixOperand(numbers), as: type, shape: train.modes.shape(ofCore: index, ranks: train.ranks)))
            case .interpolated(let pivots, let others):
                StoredCore(
                    core: StoredTensor(MatrixOperand(others), as: type),
                    pivots: StoredTensor(pivots.map(Int32.init), dtype: .i32))
            }
        }
        self.init(modes: train.modes, ranks: train.ranks, storage: .pivot, cores: cores)
    }

    public init(reading source: OperatorSource) throws(OperatorError) {
        let outputs = try source.integers("out_modes")
        let inputs = try source.integers("in_modes")
        let ranks = try source.integers("ranks")
        guard inputs.count == outputs.count else {
            throw .badEntry(
                module: source.module, key: "in_modes", expected: "as many modes as out_modes, \(outputs.count)")
        }
        guard ranks.count == outputs.count + 1, ranks.first == 1, ranks.last == 1 else {
            throw .badEntry(
                module: source.module, key: "ranks", expected: "\(outputs.count + 1) ranks, the first and the last 1")
        }
        guard let modes = TrainModes(checking: outputs, inputs) else {
            throw .badEntry(
                module: source.module, key: "out_modes",
                expected: "at most \(TrainModes.mostCores) modes a side, whose "
                    + "product is at most \(TrainModes.mostFeatures)")
        }
        if let objection = modes.objection(toRanks: Array(ranks.dropFirst().dropLast())) {
            throw .badEntry(
                module: source.module, key: "ranks", expected: "ranks that the modes can need; \(objection)")
        }
        let storage = try Self.storage(source)
        var cores: [StoredCore] = []
        for index in outputs.indices {
            let name = Self.tensorName(index)
            let rank = ranks[index + 1]
            let rows = ranks[index] * outputs[index] * inputs[index]
            if storage == .pivot, PivotTrain.isInterpolated(modes, ranks: ranks, core: index) {
                _ = try source.ascendingPositions(Self.pivotName(index), count: rank, below: rows)
                cores.append(
                    StoredCore(
                        core: try source.numbers(name, shape: [rows - rank, rank]),
                        pivots: try source.tensor(Self.pivotName(index))))
            } else {
                let shape = modes.shape(ofCore: index, ranks: ranks)
                cores.append(StoredCore(core: try source.numbers(name, shape: shape)))
            }
        }
        self.init(modes: modes, ranks: ranks, storage: storage, cores: cores)
    }

    private static func storage(_ source: OperatorSource) throws(OperatorError) -> MethodSettings.Storage {
        guard let stated = source.entry["storage"] else { return .factors }
        guard let storage = stated.string.flatMap(MethodSettings.Storage.init) else {
            throw .badEntry(module: source.module, key: "storage", expected: "factors or pivot")
        }
        return storage
    }

    /// A core as it is stored, and the places of the rows that it leaves out.
    private struct StoredCore {
        let core: StoredTensor
        var pivots: StoredTensor?

        /// All rows; nil where the type is none to compute with.
        var whole: MatrixOperand? {
            guard let pivots else { return core.operand(leadingAxes: core.shape.count - 1)?.inFloat }
            return core.operand().map {
                PivotTrain.whole(pivots: pivots.array(of: Int32.self).map(Int.init), others: $0.inFloat)
            }
        }
    }

    private init(modes: TrainModes, ranks: [Int], storage: MethodSettings.Storage, cores: [StoredCore]) {
        let sizes = modes.sizes
        self.modes = modes
        self.ranks = ranks
        self.storage = storage
        tensors = cores.enumerated().flatMap { index, core in
            [OperatorTensor(Self.tensorName(index), core.core)]
                + (core.pivots.map { [OperatorTensor(Self.pivotName(index), $0, isIndex: true)] } ?? [])
        }
        blocks = sizes.indices.map { index in
            guard let whole = cores[index].whole else { preconditionFailure("cores of numbers were checked") }
            return TrainBlock(whole, left: ranks[index], size: sizes[index], right: ranks[index + 1])
        }
        macs = Self.macs(modes, ranks: ranks)
    }

    /// Multiply-adds for a single token.
    static func macs(_ modes: TrainModes, ranks: [Int]) -> Int {
        let route = TrainRoute.cheapest(modes, ranks: ranks, tokens: 1)
        return route.onceMacs + route.tokenMacs
    }

    static func tensorName(_ core: Int) -> String { "tt.\(core)" }
    static func pivotName(_ core: Int) -> String { "tt.\(core).pivot.index" }

    /// What config.json says of a train beside its schema.
    static func entry(_ modes: TrainModes, ranks: [Int], storage: MethodSettings.Storage) -> JSONObject {
        func list(_ numbers: [Int]) -> JSON { .array(numbers.map { JSON($0) }) }
        var entry: JSONObject = [
            "out_modes": list(modes.outputs), "in_modes": list(modes.inputs), "ranks": list(ranks),
        ]
        if storage == .pivot { entry["storage"] = JSON(storage.rawValue) }
        return entry
    }

    public var outFeatures: Int { modes.outFeatures }
    public var inFeatures: Int { modes.inFeatures }
    public var entry: JSONObject { Self.entry(modes, ranks: ranks, storage: storage) }

    public func macs(tokens: Int) -> Double {
        TrainRoute.cheapest(modes, ranks: ranks, tokens: tokens).macs(tokens: tokens)
    }

    public func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        guard modes.order > 1 else {
            let weight = blocks[0].folded(rows: outFeatures, columns: inFeatures)
            return multiply(MatrixOperand(x), weight.transposed, into: y)
        }
        let route = TrainRoute.cheapest(modes, ranks: ranks, tokens: x.rows)
        if route.blocks.count == 1 {
            TrainParts(blocks, modes: modes).apply(x, into: y)
            return
        }
        let sweep = TrainSweep(blocks, modes: modes, blocks: route.blocks, direction: route.direction)
        sweep.apply(x, into: y)
    }

    public func reconstruct() -> Matrix {
        let tensor = CoreChain(sizes: modes.sizes, ranks: ranks).contract(blocks, 0..<modes.order)
        return InterleavedOrder(modes).matrix(of: tensor.numbers)
    }
}

extension TrainModes {
    /// [r, m, n, r'] of a core.
    /// - Parameter ranks: r₀ … r_d.
    func shape(ofCore core: Int, ranks: [Int]) -> [Int] {
        [ranks[core], outputs[core], inputs[core], ranks[core + 1]]
    }
}

extension MatrixOperand {
    /// A copy in Float of numbers that products in Float do not take.
    fileprivate var inFloat: MatrixOperand {
        guard type == .float64 else { return self }
        var copy = Matrix(uninitializedRows: rows, columns: columns)
        convert(self, into: MutableMatrixOperand(copy.mutableView()))
        return MatrixOperand(copy)
    }
}
