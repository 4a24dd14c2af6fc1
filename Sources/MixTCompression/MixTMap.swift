import MatrixCore

/// The linear map from branches to weights of the model, and its transpose: a form, and the order of rows and columns
/// that it is laid over.
struct MixTMap {
    let form: MixTForm
    /// Nil where every row and column stands at its own place.
    var order: MixTOrder?

    /// W' (m × n) of branches T_0 … T_(N−1), each (p × q).
    func expand(_ branches: [Matrix64]) -> Matrix64 {
        var weight = Matrix64(uninitializedRows: form.rows, columns: form.columns)
        form.expand(branches, into: weight.mutableView())
        return order?.restored(weight) ?? weight
    }

    /// The transpose of `expand` at a weight (m × n).
    func contract(_ weight: MatrixOperand) -> [Matrix64] {
        form.contract(order.map { MatrixOperand($0.placed(weight)) } ?? weight)
    }
}
