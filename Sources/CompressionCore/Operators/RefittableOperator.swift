/// An operator that keeps what it shares with others and can fit the rest of its numbers to another objective.
///
/// Layers that share factors are made at once, and each is read at its own place in the network: what a compressed
/// network gives to the later ones is known only when the earlier ones stand.
public protocol RefittableOperator: LinearOperator {
    /// The best operator for an objective among those with the same shared tensors.
    func refitted(to objective: Objective) throws -> Self
}
