//! Why an authentic event waits, or is not delivered at all.

use std::fmt;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

reasons! {
    /// Why an authentic event waits.
    HoldReason {
        /// The signature covers less than the whole body, so what the event says must be confirmed.
        NeedsConfirmation = "needs_confirmation",
        /// Its provider was asked, and says something else than the event.
        ConfirmationDiffers = "confirmation_differs",
        /// Its provider was asked, and knows no such payment.
        ConfirmationMissing = "confirmation_missing",
        /// Its provider was asked for a day, and gave no answer that counts.
        ConfirmationUnanswered = "confirmation_unanswered",
        /// It held what must not be kept, and every endpoint takes the original bytes, which are gone.
        RedactedOriginalOnly = "redacted_original_only",
        /// It names an order that nobody registered.
        UnknownOrder = "unknown_order",
        /// One of its parties is blocked: who pays, who is paid, or what it is paid with.
        PartyBlocked = "party_blocked",
        /// The order is to be paid through another provider.
        ProviderMismatch = "provider_mismatch",
        /// The order is to be paid through another source.
        SourceMismatch = "source_mismatch",
        /// Another account is paid than the order's.
        PayeeMismatch = "payee_mismatch",
        /// It is paid in another currency or asset.
        CurrencyMismatch = "currency_mismatch",
        /// It is paid on another chain.
        ChainMismatch = "chain_mismatch",
        /// It is paid to another address.
        AddressMismatch = "address_mismatch",
        /// It says that something was paid, and not how much of what.
        AmountMissing = "amount_missing",
        /// Its amount is none that can be counted in the order's money.
        AmountUnreadable = "amount_unreadable",
        /// Less is paid than the order expects, as with a partial capture.
        AmountUnder = "amount_under",
        /// More is paid than the order expects.
        AmountOver = "amount_over",
        /// The provider says that it is paid, and the chain does not say so yet.
        ConfirmationsMissing = "confirmations_missing",
        /// The same payment has paid another order.
        PaymentReused = "payment_reused",
        /// So much is known of its payments that no more is taken.
        TooManyPayments = "too_many_payments",
        /// More is paid back than was paid.
        RefundExceedsPaid = "refund_exceeds_paid",
    }
}

impl HoldReason {
    /// Whether what else is learned of the order can let the event pass.
    pub const fn turns_with_its_order(self) -> bool {
        matches!(
            self,
            Self::UnknownOrder
                | Self::AmountUnder
                | Self::ConfirmationsMissing
                | Self::RefundExceedsPaid
        )
    }

    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

reasons! {
    /// Why an authentic event is not delivered.
    DenyReason {
        /// The application has cancelled the order.
        OrderCancelled = "order_cancelled",
    }
}
