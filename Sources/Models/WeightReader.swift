import Checkpoints
import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// Finds the weights of modules by name, dense or compressed.
///
/// Names are given without the family's prefix, which is found out once.
struct WeightReader {
    private let checkpoint: Checkpoint
    private let library: OperatorLibrary
    private let replacements: [String: any LinearOperator]
    private let prefix: String
    private let dense: [String: LinearModule]
    private let compressed: [String: CompressedModule]

    init(
        _ checkpoint: Checkpoint, family: ModelFamily, library: OperatorLibrary,
        replacements: [String: any LinearOperator]
    ) throws(ModelError) {
        self.checkpoint = checkpoint
        self.library = library
        self.replacements = replacements
        dense = Dictionary(checkpoint.linearModules.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        compressed = Dictionary(
            checkpoint.compressedModules.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let embedding = "\(family.names.embedding).weight"
        guard let prefix = (family.prefixes + [""]).first(where: { checkpoint.tensor(named: $0 + embedding) != nil })
        else { throw .missingTensor((family.prefixes.first ?? "") + embedding) }
        self.prefix = prefix
    }

    /// The name in the checkpoint; heads stand outside of the prefix.
    func fullName(_ name: String) -> String {
        let prefixed = prefix + name
        return isLinear(name) && !isLinear(prefixed) ? name : prefixed
    }

    private func isLinear(_ fullName: String) -> Bool {
        dense[fullName] != nil || compressed[fullName] != nil
    }

    func hasLinear(_ name: String) -> Bool {
        isLinear(fullName(name))
    }

    // MARK: Linear layers

    /// - Parameter outFeatures: nil for any number.
    func linear(_ name: String, outFeatures: Int?, inFeatures: Int) throws(ModelError) -> Linear {
        let module = fullName(name)
        let weight = try layerOperator(of: module)
        guard weight.inFeatures == inFeatures, outFeatures == nil || weight.outFeatures == outFeatures else {
            throw .wrongShape(
                tensor: module, expected: [outFeatures ?? weight.outFeatures, inFeatures],
                found: [weight.outFeatures, weight.inFeatures])
        }
        return Linear(name: module, weight: weight, bias: try bias(of: module, weight))
    }

    private func layerOperator(of module: String) throws(ModelError) -> any LinearOperator {
        if let replacement = replacements[module] { return replacement }
        if let compressed = compressed[module] { return try compressedOperator(compressed) }
        guard let dense = dense[module] else { throw .missingTensor("\(module).weight") }
        do {
            return DenseOperator(weight: inFloat(try checkpoint.operand(of: dense)))
        } catch {
            throw .unreadable(tensor: dense.weightName, reason: "\(error)")
        }
    }

    private func compressedOperator(_ module: CompressedModule) throws(ModelError) -> any LinearOperator {
        let source = OperatorSource(module: module.name, entry: module.entry) { (name) throws(OperatorError) in
            guard let tensor = checkpoint.tensor(named: name) else { return nil }
            do {
                return StoredTensor(dtype: tensor.dtype, shape: tensor.shape, bytes: try checkpoint.bytes(of: name))
            } catch {
                throw .unreadable(name, reason: "\(error)")
            }
        }
        do {
            return try library.read(source)
        } catch {
            throw .unreadable(tensor: error.subject, reason: "\(error)")
        }
    }

    /// Under the name that its schema gives it, or beside the weight.
    private func bias(of module: String, _ weight: any LinearOperator) throws(ModelError) -> AlignedBuffer<Float>? {
        for name in ["\(module).\(weight.biasName)", "\(module).bias"] where checkpoint.tensor(named: name) != nil {
            return try numbers(name, count: weight.outFeatures)
        }
        return nil
    }

    // MARK: Other weights

    /// A matrix that rows are looked up in.
    func table(_ name: String, columns: Int) throws(ModelError) -> MatrixOperand {
        let tensor = "\(prefix)\(name).weight"
        guard checkpoint.tensor(named: tensor) != nil else { throw .missingTensor(tensor) }
        let table: MatrixOperand
        do {
            table = inFloat(try checkpoint.operand(of: tensor))
        } catch {
            throw .unreadable(tensor: tensor, reason: "\(error)")
        }
        guard table.columns == columns else {
            throw .wrongShape(tensor: tensor, expected: [table.rows, columns], found: [table.rows, table.columns])
        }
        return table
    }

    /// The first parameter of the module that is there, in Float.
    func vector(_ module: String, _ parameters: [String], count: Int) throws(ModelError) -> AlignedBuffer<Float> {
        let names = parameters.map { "\(prefix)\(module).\($0)" }
        for name in names where checkpoint.tensor(named: name) != nil {
            return try numbers(name, count: count)
        }
        throw .missingTensor(names.first ?? module)
    }

    private func numbers(_ name: String, count: Int) throws(ModelError) -> AlignedBuffer<Float> {
        let stored: MatrixOperand
        do {
            stored = try checkpoint.operand(of: name)
        } catch {
            throw .unreadable(tensor: name, reason: "\(error)")
        }
        guard stored.rows * stored.columns == count, stored.rows == 1 else {
            throw .wrongShape(tensor: name, expected: [count], found: [stored.rows * stored.columns])
        }
        let result = AlignedBuffer<Float>(uninitializedCount: count)
        convert(
            stored,
            into: MutableMatrixOperand(
                MutableMatrixView(base: result.base, rows: 1, columns: count, rowStride: count, owner: result)))
        return result
    }

    /// Products in Float do not read Double; such a weight is rounded once.
    private func inFloat(_ weight: MatrixOperand) -> MatrixOperand {
        guard weight.type == .float64 else { return weight }
        var result = Matrix(uninitializedRows: weight.rows, columns: weight.columns)
        convert(weight, into: MutableMatrixOperand(result.mutableView()))
        return MatrixOperand(result)
    }
}
