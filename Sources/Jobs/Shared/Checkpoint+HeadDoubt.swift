import Checkpoints

extension Checkpoint {
    /// What to say where config.json ties the head to the embedding, and the numbers do not.
    func headDoubt() throws -> String? {
        guard case .different(let head, let embedding) = try tiedHead() else { return nil }
        return "config.json ties \(head) to \(embedding), but both are stored and differ: the stored head is used, as "
            + "by transformers 5 (older versions use the embedding); set tie_word_embeddings to what is meant"
    }
}
