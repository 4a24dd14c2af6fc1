import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// A layer as a tensor train: W'[(i₁…i_d), (j₁…j_d)] = G₁[i₁, j₁] · … · G_d[i_d, j_d] with matrices G_k[i, j]
/// (r_(k−1) × r_k).
///
/// Storage is the cores as tensors `tt.0` … `tt.(d−1)` of shape [r, out, in, r']. Multiplication takes whichever of
/// sweeping tokens through the cores, contracting them to a few blocks first, or reconstructing W' is the least work for
/// the number of tokens at hand; W' is not kept. `macs` is that count for a single token.
public struct TensorTrainOperator: LinearOperator {
    public static let schema = "TTLinear"

    public let modes: TrainModes
    /// r₀ … r_d.
    public let ranks: [Int]
    /// [r_k, m_k, n_k, r_(k+1)] each.
    public let cores: [StoredTensor]
    private let blocks: [TrainBlock]
    public let macs: Int

    /// - Parameter type: what the cores are rounded to.
    public init(_ train: TensorTrain, storedAs type: ElementType) {
        let modes = train.modes, ranks = train.ranks
        let cores = modes.sizes.indices.map {
            StoredTensor(
                MatrixOperand(train.cores[$0]), as: type,
                shape: [ranks[$0], modes.outputs[$0], modes.inputs[$0], ranks[$0 + 1]])
        }
        let operands = cores.map { MatrixOperand(stored: $0, type: type) }
        self.init(modes: modes, ranks: ranks, cores: cores, operands: operands)
    }

    public init(reading source: OperatorSource) throws(OperatorError) {
        let outputs = try source.integers("out_modes"), inputs = try source.integers("in_modes")
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
                module: source.module, key: "out_modes", expected: "at most \(TrainModes.mostCores) modes a side, whose "
                    + "product is at most \(TrainModes.mostFeatures)")
        }
        if let objection = modes.objection(toRanks: Array(ranks.dropFirst().dropLast())) {
            throw .badEntry(module: source.module, key: "ranks", expected: "ranks that the modes can need; \(objection)")
        }
        var cores: [StoredTensor] = [], operands: [MatrixOperand] = []
        for index in outputs.indices {
            let name = Self.tensorName(index)
            let core = try source.numbers(
                name, shape: [ranks[index], outputs[index], inputs[index], ranks[index + 1]])
            guard let operand = core.operand() else { throw .missingTensor("\(source.module).\(name)") }
            cores.append(core)
            operands.append(operand)
        }
        self.init(modes: modes, ranks: ranks, cores: cores, operands: operands)
    }

    private init(modes: TrainModes, ranks: [Int], cores: [StoredTensor], operands: [MatrixOperand]) {
        let sizes = modes.sizes
        self.modes = modes
        self.ranks = ranks
        self.cores = cores
        blocks = sizes.indices.map {
            TrainBlock(operands[$0].inFloat, left: ranks[$0], size: sizes[$0], right: ranks[$0 + 1])
        }
        macs = Self.macs(modes, ranks: ranks)
    }

    /// Multiply-adds for a single token.
    static func macs(_ modes: TrainModes, ranks: [Int]) -> Int {
        let route = TrainRoute.cheapest(modes, ranks: ranks, tokens: 1)
        return route.onceMacs + route.tokenMacs
    }

    static func tensorName(_ core: Int) -> String { "tt.\(core)" }

    /// What config.json says of a train beside its schema.
    static func entry(_ modes: TrainModes, ranks: [Int]) -> JSONObject {
        func list(_ numbers: [Int]) -> JSON { .array(numbers.map { JSON($0) }) }
        return ["out_modes": list(modes.outputs), "in_modes": list(modes.inputs), "ranks": list(ranks)]
    }

    public var outFeatures: Int { modes.outFeatures }
    public var inFeatures: Int { modes.inFeatures }
    public var entry: JSONObject { Self.entry(modes, ranks: ranks) }

    public var tensors: [OperatorTensor] {
        cores.indices.map { OperatorTensor(Self.tensorName($0), cores[$0]) }
    }

    public func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        let route = TrainRoute.cheapest(modes, ranks: ranks, tokens: x.rows)
        if route.blocks.count == 1 {
            multiply(MatrixOperand(x), MatrixOperand(reconstruct().view.transposed), into: y)
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

extension MatrixOperand {
    /// The numbers of a tensor that is known to hold `type`, as one row.
    fileprivate init(stored tensor: StoredTensor, type: ElementType) {
        self.init(
            base: tensor.base, type: type, rows: 1, columns: tensor.elementCount, rowStride: tensor.elementCount,
            owner: tensor.owner)
    }

    /// A copy in Float of numbers that products in Float do not take.
    fileprivate var inFloat: MatrixOperand {
        guard type == .float64 else { return self }
        var copy = Matrix(uninitializedRows: rows, columns: columns)
        convert(self, into: MutableMatrixOperand(copy.mutableView()))
        return MatrixOperand(copy)
    }
}
