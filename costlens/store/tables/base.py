"""What all tables share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# SQLite gives only an INTEGER primary key its own row id.
Id = BigInteger().with_variant(Integer, "sqlite")


def organization_column() -> Column[int]:
    """Whose row it is; every query names it."""
    return Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), nullable=False)
