import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// The train that approximates a target in the metric of an objective:
///
///     minimise ‖ L_oᵀ (T − W') L_i ‖_F    over trains W' of given modes and ranks.
///
/// - Method: a change of basis by modes makes both metrics nearly the identity (`KroneckerRoot`); the TT-SVD in that
///   basis is the start, and the optimum where the metrics are products over the modes, in particular for the form
///   out m,1 and in 1,n. Then alternating least squares: with the other cores orthonormal around it, each core is
///   moved to lower the error (`CoreStep`), forth and back over the train. Every step lowers the error or leaves it,
///   so the result is never worse than the better of two starts, the other being the TT-SVD of T itself.
/// - Cost: each step of conjugate gradients takes a product with the Gram matrix, m·n² multiply-adds, and contractions
///   with the neighbours, about 2·m·n·r.
/// - Source: Holtz, Rohwedder and Schneider, "The alternating linear scheme for tensor optimization in the tensor train
///   format", 2012; the metric and the change of basis are ours.
struct TrainFit {
    let modes: TrainModes
    let inputs: FitMetric
    let outputs: FitMetric
    private let inputRoot: KroneckerRoot
    private let outputRoot: KroneckerRoot
    /// The target in the new basis, in the order of the tensor.
    let target: Matrix
    /// ‖T‖² in the metric, in the units of `squaredError`.
    private var squaredNorm = 0.0
    let order: InterleavedOrder

    /// Passes over the train, one way each.
    private static let mostPasses = 12
    /// A pass that takes less than this share off the squared error is the last.
    private static let leastGain = 2e-3

    struct Result {
        let train: TensorTrain
        /// In the objective.
        let relativeError: Double
        /// Of the start.
        let firstError: Double
        let passes: Int
        /// Singular values at the bonds of the target in the new basis, as `TrainEvidence` has them.
        let spectra: [[Double]]
    }

    init(_ objective: Objective, modes: TrainModes) throws {
        self.modes = modes
        order = InterleavedOrder(modes)
        inputRoot = try KroneckerRoot(objective.inputs, modes: modes.inputs)
        outputRoot = try KroneckerRoot(objective.outputs, modes: modes.outputs)
        inputs = FitMetric(objective.inputs, inputRoot)
        outputs = FitMetric(objective.outputs, outputRoot)
        target = order.tensor(of: MatrixOperand(Self.changed(objective.target, outputRoot, inputRoot)))
        squaredNorm = squaredError(target)
    }

    /// C_oᵀ T C_i.
    private static func changed(_ target: MatrixOperand, _ outputs: KroneckerRoot, _ inputs: KroneckerRoot) -> Matrix64
    {
        func transposed(_ matrix: MatrixOperand) -> Matrix64 {
            var result = Matrix64(uninitializedRows: matrix.columns, columns: matrix.rows)
            convert(matrix.transposed, into: MutableMatrixOperand(result.mutableView()))
            return result
        }
        var columns = transposed(target)
        inputs.apply(.into, toRowsOf: &columns)
        var rows = transposed(MatrixOperand(columns))
        outputs.apply(.into, toRowsOf: &rows)
        return rows
    }

    // MARK: - The fit

    /// - Parameter plain: the TT-SVD of the target itself, of the ranks wanted.
    func run(ranks: [Int], from plain: TensorTrain, by svd: TensorTrainSVD) throws -> Result {
        let whitened = try svd.decompose(tensor: target, modes: modes, keeping: .ranks(ranks))
        let starts = try [whitened.train, changed(plain, .into)].map { train in
            let start = try train.rightOrthonormal()
            return (train: start, error: squaredError(residual(start)))
        }
        guard let start = starts.min(by: { $0.error < $1.error }) else { preconditionFailure("there are two starts") }
        let (best, error, passes) = try improved(start.train, start.error, passes: Self.mostPasses)
        return Result(
            train: changed(best, .back), relativeError: relative(error), firstError: relative(start.error),
            passes: passes, spectra: whitened.evidence.spectra)
    }

    /// A train that is there already, moved towards the target.
    func improved(_ train: TensorTrain, passes: Int) throws -> TensorTrain {
        let start = try changed(train, .into).rightOrthonormal()
        return changed(try improved(start, squaredError(residual(start)), passes: passes).train, .back)
    }

    /// - Parameters:
    ///   - train: in the new basis, orthonormal from the right.
    ///   - error: its squared error.
    private func improved(
        _ train: TensorTrain, _ error: Double, passes mostPasses: Int
    ) throws -> (train: TensorTrain, error: Double, passes: Int) {
        var best = (train: train, error: error)
        var passes = 0
        // What is left of a perfect start is rounding.
        let floor = squaredNorm * 1e-12
        while passes < mostPasses, best.error > floor, modes.order > 1 || passes == 0 {
            let train = try pass(best.train, forward: passes % 2 == 0)
            let error = squaredError(residual(train))
            passes += 1
            guard error < best.error else { break }
            let gain = 1 - error / best.error
            best = (train, error)
            if gain < Self.leastGain { break }
        }
        return (best.train, best.error, passes)
    }

    private func relative(_ squares: Double) -> Double {
        squaredNorm > 0 ? (squares / squaredNorm).squareRoot() : 0
    }

    /// Moves every core once, from the first to the last or back. The core to start with is the one that is not
    /// orthonormal.
    private func pass(_ train: TensorTrain, forward: Bool) throws -> TensorTrain {
        var cores = train.cores
        let last = modes.order - 1
        for core in forward ? Array(0...last) : Array((0...last).reversed()) {
            cores[core] = try CoreStep(self, cores: cores, core: core).solve()
            if forward, core < last { try TensorTrain.orthonormaliseLeft(&cores, core) }
            if !forward, core > 0 { try TensorTrain.orthonormaliseRight(&cores, core) }
        }
        return TensorTrain(modes: modes, cores: cores)
    }

    // MARK: - The error

    /// T − W' in the order of the tensor.
    func residual(_ train: TensorTrain) -> Matrix {
        let chain = CoreChain(sizes: modes.sizes, ranks: train.ranks)
        let found = chain.contract(train.blocks, 0..<modes.order).numbers
        var residual = target
        let view = residual.mutableView()
        let values = found.base.assumingMemoryBound(to: Float.self)
        withExtendedLifetime(found.owner) {
            for index in 0..<(view.rows * view.columns) { view.base[index] -= values[index] }
        }
        return residual
    }

    /// G_o E G_i of an error, both in the order of the tensor.
    func weighed(_ error: Matrix) -> Matrix {
        order.tensor(of: MatrixOperand(outputs.weighRows(of: inputs.weigh(order.matrix(of: MatrixOperand(error))))))
    }

    private func squaredError(_ error: Matrix) -> Double { CoreStep.dot(error, weighed(error)) }

    // MARK: - Change of basis

    /// The train with every core changed along its modes.
    private func changed(_ train: TensorTrain, _ change: KroneckerRoot.Change) -> TensorTrain {
        let ranks = train.ranks
        let cores = train.cores.indices.map { index in
            let (m, n) = (modes.outputs[index], modes.inputs[index])
            var core = Matrix64(uninitializedRows: train.cores[index].rows, columns: train.cores[index].columns)
            convert(MatrixOperand(train.cores[index]), into: MutableMatrixOperand(core.mutableView()))
            let view = core.mutableView()
            // [r, m, n, r']: every r has a block (m × n r'), every (r, m) a block (n × r').
            func changeMode(_ root: Matrix64?, count: Int, rows: Int) {
                guard let root else { return }
                let columns = view.rows * view.columns / (count * rows)
                for block in 0..<count {
                    let part = MutableMatrixView(
                        base: view.base + block * rows * columns, rows: rows, columns: columns, rowStride: columns,
                        owner: view.owner)
                    KroneckerRoot.apply(change, root, to: part)
                }
            }
            changeMode(outputRoot.roots?[index], count: ranks[index], rows: m)
            changeMode(inputRoot.roots?[index], count: ranks[index] * m, rows: n)
            var result = Matrix(uninitializedRows: core.rows, columns: core.columns)
            convert(MatrixOperand(core), into: MutableMatrixOperand(result.mutableView()))
            return result
        }
        return TensorTrain(modes: modes, cores: cores)
    }
}
