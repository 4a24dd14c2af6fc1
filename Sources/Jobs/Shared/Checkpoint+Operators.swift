import Checkpoints
import CompressionCore
import Kernels
import MatrixCore
import Safetensors

extension Checkpoint {
    /// The operator of a compressed module.
    public func compressedOperator(of module: CompressedModule) throws -> any LinearOperator {
        do {
            return try MethodRegistry.library.read(operatorSource(module.name, entry: module.entry))
        } catch {
            throw JobError.badInput("\(error)", file: path, tensor: error.subject)
        }
    }

    /// The tensors of a module, as an operator reads them.
    private func operatorSource(_ module: String, entry: JSON) -> OperatorSource {
        OperatorSource(module: module, entry: entry) { (name) throws(OperatorError) in
            guard let tensor = tensor(named: name) else { return nil }
            do {
                return StoredTensor(dtype: tensor.dtype, shape: tensor.shape, bytes: try bytes(of: name))
            } catch {
                throw .unreadable(name, reason: "\(error)")
            }
        }
    }

    /// The weight of a linear layer as stored, or the product that its factors are.
    /// - Throws: `JobError.badInput` where a number is not finite.
    func finiteWeight(of module: LinearModule) throws -> (matrix: MatrixOperand, factors: Factors?) {
        guard module.factors == nil else { return try finiteProduct(of: module) }
        let weight = try operand(of: module)
        if let place = firstNonFinite(weight) {
            throw JobError.badInput(
                "the weight has \(weight[place.row, place.column]) at output \(place.row), input \(place.column); "
                    + "expected finite numbers only", file: file(of: module.weightName), tensor: module.weightName)
        }
        return (weight, nil)
    }

    private func finiteProduct(of module: LinearModule) throws -> (matrix: MatrixOperand, factors: Factors?) {
        guard let stored = compressedModules.first(where: { $0.name == module.name }),
            let product = try compressedOperator(of: stored) as? any FactoredOperator
        else { throw JobError.badInput("its factors cannot be read", file: path, tensor: module.name) }
        for tensor in product.tensors {
            guard let numbers = tensor.tensor.operand(), let place = firstNonFinite(numbers) else { continue }
            let name = tensor.fullName(in: module.name)
            throw JobError.badInput(
                "the factor has \(numbers[place.row, place.column]) at row \(place.row), column \(place.column); "
                    + "expected finite numbers only", file: file(of: name), tensor: name)
        }
        return (MatrixOperand(product.reconstruct()), product.factors)
    }

    /// The shard that holds a tensor.
    func file(of tensor: String) -> String {
        self.tensor(named: tensor).map { files[$0.file].path } ?? path
    }
}
